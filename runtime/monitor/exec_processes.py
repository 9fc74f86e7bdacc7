"""Processes that enter a running container: the command of ``exec``, and that of a health check.

Each is a fork of the monitor, which has one thread and nothing of an image in memory. Processes in the container cannot
inspect it, nor write to its interpreter (CVE-2019-5736), and it imports nothing from the image (CVE-2019-14271).
"""

import os
from errno import EINVAL, ENOTDIR
from stat import S_ISCHR

from pybuild.runtime.kernel.passing import send
from pybuild.runtime.kernel.pidfd import number_of
from pybuild.runtime.kernel.syscalls import (
    CLONE_NEWCGROUP,
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    CLONE_NEWUTS,
    PR_SET_DUMPABLE,
    RESOLVE_BENEATH,
    RESOLVE_NO_SYMLINKS,
    SIGCHLD,
    SIGKILL,
    block_signals,
    open_peer,
    openat2,
    prctl,
    reset_signals,
    setns,
    wait_signal,
)
from pybuild.runtime.monitor.loop import IN, Loop
from pybuild.runtime.monitor.settings import InsideCommand
from pybuild.runtime.records import Operation, decode
from pybuild.runtime.sandbox.inside.forkserver import close_all_but
from pybuild.runtime.sandbox.inside.plan import END, TERMINAL, SandboxPlan, Status
from pybuild.runtime.sandbox.inside.privileges import CAP_SYS_CHROOT, give_up_chroot
from pybuild.runtime.sandbox.inside.process import Process, become

_NAMESPACES = {
    "mnt": CLONE_NEWNS,
    "pid": CLONE_NEWPID,
    "ipc": CLONE_NEWIPC,
    "uts": CLONE_NEWUTS,
    "net": CLONE_NEWNET,
    "cgroup": CLONE_NEWCGROUP,
    "user": CLONE_NEWUSER,
}
_PTMX = (5, 2)  # from the kernel's list of devices (admin-guide/devices.txt)


class Entries:
    """The processes that ``exec`` made enter one container. They are reaped as they end."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._children: dict[int, int] = {}

    def fork(self, plan: SandboxPlan, target: int, descriptors: tuple[int, ...]) -> int:
        """Do `fork_into`, and return a pidfd of the process, which this object closes when the process has ended."""
        child = fork_into(plan, target, descriptors)
        pidfd = os.pidfd_open(child)
        self._children[pidfd] = child
        self._loop.watch(pidfd, IN, self._reap)
        return pidfd

    def _reap(self, pidfd: int, _events: int) -> None:
        os.waitpid(self._children.pop(pidfd), 0)
        self._loop.close(pidfd)


def fork_into(plan: SandboxPlan, target: int, descriptors: tuple[int, ...]) -> int:
    """Fork a process that runs an `InsideCommand` in the container of *plan*, and return its number.

    *target* is a pidfd of the container's first process. *descriptors* are a file with the encoded command, the status
    pipe and three streams, as for the child of a sandbox.
    """
    child = os.fork()
    if child == 0:
        try:
            entry, status, *streams = descriptors
            for stream, fd in enumerate(streams):
                os.dup2(fd, stream)
            close_all_but(entry, status, target)
            reset_signals()
            block_signals()
            prctl(PR_SET_DUMPABLE, 0)
            os.setsid()
            with Status(status) as reporting:
                _enter(plan, target, _read(entry), reporting)
        finally:
            os._exit(1)
    return child


def _read(fd: int) -> InsideCommand:
    with open(fd, "rb", buffering=0) as file:
        file.seek(0)
        entry = decode(file.readall())
    if not isinstance(entry, InsideCommand):
        raise TypeError(type(entry))
    return entry


def _enter(plan: SandboxPlan, target: int, entry: InsideCommand, status: Status) -> None:
    # The control group first: a process that is forked before would not be counted, frozen or killed with the others.
    for path in plan.settings.cgroups:
        with Operation("join cgroup", path), open(path, "wb", buffering=0) as file:
            file.write(b"0")
    bounded = _may_not_chroot(target)
    # By one call (Linux 5.8), which enters all of them or none.
    with Operation("enter the container"):
        setns(target, _others(target))
    os.close(target)
    if bounded:
        give_up_chroot()
    # setns(2) has made the root of the container's mounts that of this process.
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    terminal = _make_stdio(entry.stdio, root)
    child = os.fork()  # setns(2) puts only the children of the caller into a PID namespace
    if child == 0:
        with Status(status.fd):
            become(_confined(entry, plan), root, terminal, new_cwd=False)
    if terminal >= 0:
        os.close(terminal)
    _await_end(child, status)


def _may_not_chroot(target: int) -> bool:
    """Return whether the container's processes lack CAP_SYS_CHROOT, by which they could leave their root."""
    with open(f"/proc/{number_of(target)}/status", "rb") as file:
        bounding = next(line for line in file if line.startswith(b"CapBnd:"))
    return not int(bounding.split()[1], 16) >> CAP_SYS_CHROOT & 1


def _others(target: int) -> int:
    """Return the flags of the namespaces that the container does not share with the monitor.

    setns(2) would refuse the shared ones: a process cannot enter its own user namespace again, and root of a user
    namespace cannot enter the host's network.
    """
    theirs = f"/proc/{number_of(target)}/ns"
    return sum(
        flag
        for name, flag in _NAMESPACES.items()
        if not os.path.samestat(os.stat(f"{theirs}/{name}"), os.stat(f"/proc/self/ns/{name}"))
    )


def _confined(entry: InsideCommand, plan: SandboxPlan) -> Process:
    """Return the process of *entry* with the confinement of the container, or its own if it is privileged."""
    held, asked = plan.process.confinement, entry.process
    if not entry.privileged:
        asked.confinement = held
    asked.confinement.no_new_privileges = held.no_new_privileges
    return asked


def _make_stdio(stdio: bytes, root: int) -> int:
    """Make a terminal of the container and give the client the end that controls it; return the other, -1 for none."""
    if stdio != TERMINAL:
        return -1
    master = _open_ptmx(root)
    with Operation("open terminal", b"/dev/pts/ptmx"):
        terminal = open_peer(master)
    with Operation("hand over the terminal"):
        send(0, b"t", master)
        os.close(master)
        os.read(0, 1)  # ends when the client has given the terminal the size of its window
    os.dup2(terminal, 0)  # in place of the socket
    return terminal


def _open_ptmx(root: int) -> int:
    """Open the multiplexer of the container's own terminals.

    A process inside may have put anything in its place, and opening a device may act on it. So the file is looked at
    by an O_PATH descriptor first, and what was opened then must be the same file.
    """
    operation = Operation("open terminal", b"/dev/pts/ptmx")
    with operation:
        # O_NONBLOCK, because what has taken its place since may be a file whose open(2) waits.
        flags = os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
        place = openat2(root, b"dev/pts/ptmx", os.O_PATH | os.O_CLOEXEC, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
        found = os.fstat(place)
        if not S_ISCHR(found.st_mode) or (os.major(found.st_rdev), os.minor(found.st_rdev)) != _PTMX:
            raise operation.failed(ENOTDIR if found.st_mode else EINVAL, "it is no terminal multiplexer")
        os.close(place)
        master = openat2(root, b"dev/pts/ptmx", flags, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
        opened = os.fstat(master)
        if (opened.st_dev, opened.st_ino) != (found.st_dev, found.st_ino):
            raise operation.failed(EINVAL, "it was exchanged")
        os.set_blocking(master, True)
        return master


def _await_end(child: int, status: Status) -> None:
    """Pass signals on to *child* until it ends, and report how. The signal END kills it."""
    while True:
        number = wait_signal()
        if number == SIGCHLD:
            pid, ended = os.waitpid(child, os.WNOHANG)
            if pid:
                status.report_end(ended)
                return
        else:
            os.kill(child, SIGKILL if number == END else number)
