"""The namespaces of a sandbox: new ones, those of the host, and those of another container."""

import os
from errno import EINVAL, EPERM

from pybuild.runtime.kernel.chroot import SavedMounts, make_private
from pybuild.runtime.kernel.detached_mounts import INERT, clone
from pybuild.runtime.kernel.pidfd import number_of
from pybuild.runtime.kernel.syscalls import (
    CLONE_NEWCGROUP,
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUTS,
    RESOLVE_BENEATH,
    RESOLVE_NO_SYMLINKS,
    openat2,
    setns,
    unshare,
)
from pybuild.runtime.records import Operation
from pybuild.runtime.sandbox.inside.plan import NAMESPACES, SandboxSettings

NETWORK, PID, IPC = JOINABLE = b"network", b"pid", b"ipc"
"""The namespaces that a container may join, in the order in which descriptors of them are passed on."""


class JoinedNamespaces:
    """The namespaces that a sandbox joins, by descriptors that are -1 for none.

    *network* is a network namespace. *pid* and *ipc* are pidfds of the first processes of the containers whose PID and
    IPC namespaces are joined.
    """

    __slots__ = ("ipc", "network", "pid")

    def __init__(self, network: int = -1, pid: int = -1, ipc: int = -1) -> None:
        self.network, self.pid, self.ipc = network, pid, ipc

    def descriptors(self) -> tuple[int, ...]:
        """Return those that are not -1."""
        return tuple(fd for fd in (self.network, self.pid, self.ipc) if fd >= 0)

    def enter_pid(self) -> None:
        """Let the next child of this process be in the PID namespace that is joined, if there is one."""
        if self.pid >= 0:
            with Operation("join the PID namespace of the container"):
                _join(self.pid, "pid", CLONE_NEWPID)


def joined_by(names: tuple[bytes, ...], network: int, owners: int) -> JoinedNamespaces:
    """Return the namespaces *names* of `JOINABLE`, whose descriptors have fixed numbers.

    That of the network is *network*, and those of the others are *owners* and following, in the order of *names*.
    """
    others = [name for name in names if name != NETWORK]
    pid, ipc = (owners + others.index(name) if name in others else -1 for name in (PID, IPC))
    return JoinedNamespaces(network if NETWORK in names else -1, pid, ipc)


def enter_namespaces(settings: SandboxSettings, joined: JoinedNamespaces, mounts: SavedMounts) -> int:
    """Leave the host's namespaces, in a user namespace that the caller has entered already, if there is to be one.

    Return a detached mount of the shared memory of the container whose IPC namespace is joined, -1 for none. *mounts*
    are those of the host. The PID namespace is joined by the guard.
    """
    memory = _join_ipc(joined.ipc, mounts) if joined.ipc >= 0 else -1
    if joined.network >= 0:
        with Operation("enter the network of the container"):
            # Root of a user namespace may not join the host's network, not even when this process is in it already.
            if not os.path.samestat(os.fstat(joined.network), os.stat("/proc/self/ns/net")):
                setns(joined.network, CLONE_NEWNET)
            os.close(joined.network)
    with Operation(NAMESPACES):
        unshare(CLONE_NEWNS)
        # Before the first mount: with shared propagation it would appear on the host.
        make_private()
        _make_own(settings, joined)
    return memory


def _make_own(settings: SandboxSettings, joined: JoinedNamespaces) -> None:
    wanted = settings.namespaces
    own = CLONE_NEWNET if wanted.private_network else 0
    for name, flag, given in (
        # This process stays in its PID namespace; its next child, the guard, is the first process of the new one.
        (PID, CLONE_NEWPID, joined.pid),
        (IPC, CLONE_NEWIPC, joined.ipc),
        (b"uts", CLONE_NEWUTS, -1),
    ):
        own |= flag if name not in wanted.shared and given < 0 else 0
    if own:
        unshare(own)
    if wanted.network:
        _join_network(wanted.network)
    if b"cgroup" in wanted.shared:
        return
    try:
        unshare(CLONE_NEWCGROUP)
    except OSError as error:  # optional: without it /proc/self/cgroup shows the host's names
        if error.errno not in {EINVAL, EPERM}:
            raise


def _join_network(path: bytes) -> None:
    namespace = os.open(path, os.O_RDONLY)
    try:
        setns(namespace, CLONE_NEWNET)
    finally:
        os.close(namespace)


def _join(process: int, name: str, kind: int) -> None:
    """Enter a namespace of *process*, a pidfd, unless this process is in it.

    The container may share the host's. Root of a user namespace may not join that, even if it is in it already.
    """
    theirs = os.stat(f"/proc/{number_of(process)}/ns/{name}")
    if not os.path.samestat(theirs, os.stat(f"/proc/self/ns/{name}")):
        setns(process, kind)


def _join_ipc(process: int, mounts: SavedMounts) -> int:
    """Join the IPC namespace of *process*, and return a detached mount of the shared memory that belongs to it.

    A mount can be cloned only in its own mount namespace. What the container may have put in the place of its shared
    memory is reached from its root and without symlinks, so it is something of the container's.
    """
    with Operation("join the IPC namespace of the container"):
        _join(process, "ipc", CLONE_NEWIPC)
        try:
            setns(process, CLONE_NEWNS)
            root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
            place = openat2(root, b"dev/shm", flags, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
            memory = clone(place, b"", INERT)
        finally:
            mounts.restore()
        for fd in (root, place, process):
            os.close(fd)
        return memory
