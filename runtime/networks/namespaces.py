"""Named network namespaces, which exist until `unpin`, even when the process that made them has ended.

    /run/pybuild/lock                        held while networks of this host are changed, shared while containers
                                             are connected to networks that are up
    /run/pybuild/net-<boot>-<number>/        the networks of one network namespace of the host's side
        pins/<name>                          the network namespace of a container, bind-mounted on this file
        dns/                                 the files of netavark and aardvark-dns
        up/<bridge>                          exists while the bridge and its rules are complete (see `netavark`)
        running                              held while netavark runs (see `netavark`)

The number is the cookie of the network namespace, which the kernel gives to no other one until the next boot. The boot
is in the name because files that an earlier boot left could have the same number.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pybuild.runtime.kernel.pidfd import boot_id
from pybuild.runtime.kernel.syscalls import CLONE_NEWNET, MNT_DETACH, MS_BIND, mount, setns, umount2, unshare
from pybuild.runtime.paths.filelock import exclusive, shared

RUN = Path("/run/pybuild")
_COOKIE = 71
"""SO_NETNS_COOKIE, which the module ``socket`` does not have."""
_SPACE = "/proc/thread-self/ns/net"  # of this thread: `inside` changes no other one's
_READ = os.O_RDONLY | os.O_CLOEXEC


@contextmanager
def locked(*, beside_others: bool = False) -> Iterator[None]:
    """Hold the lock of the networks of this host while the block runs; with *beside_others* others may do so, too."""
    RUN.mkdir(mode=0o700, parents=True, exist_ok=True)
    with shared(RUN / "lock") if beside_others else exclusive(RUN / "lock"):
        yield


def own_name() -> str:
    """Return a name for the network namespace of this thread that no other one has had (from Linux 5.14 on)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            number = int.from_bytes(any_socket.getsockopt(socket.SOL_SOCKET, _COOKIE, 8), "little")
        except OSError:  # Linux before 5.14
            number = os.stat(_SPACE).st_ino
    return f"net-{boot_id()[:8]}-{number}"


def networks_directory() -> Path:
    """Return the directory of the networks that are connected to the network namespace of this thread."""
    return RUN / own_name()


def pin_path(name: str) -> Path:
    """Return the path of the namespace *name*."""
    return networks_directory() / "pins" / name


def pin_new(name: str) -> int:
    """Make a network namespace called *name*, in place of an earlier one, and return a descriptor of it."""
    unpin(name)
    path = pin_path(name)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    with _returning():
        # unshare(2) makes a namespace by entering it.
        unshare(CLONE_NEWNET)
        mount(_SPACE, os.fspath(path), None, MS_BIND)
        return os.open(_SPACE, _READ)


def pinned(name: str) -> int | None:
    """Return a descriptor of the namespace *name*, None when there is none."""
    path = pin_path(name)
    with suppress(FileNotFoundError):
        # If nothing is mounted on the file, it is on the file system of its directory.
        if os.stat(path).st_dev != os.stat(path.parent).st_dev:
            return os.open(path, _READ)
    return None


def unpin(name: str) -> None:
    """Remove the name of a namespace; without one it ends with its last process. Does nothing when there is none."""
    path = pin_path(name)
    with suppress(OSError):  # nothing is mounted there, or the file is missing
        # MNT_DETACH, because a process that has the file open would keep it busy.
        umount2(os.fspath(path), MNT_DETACH)
    path.unlink(missing_ok=True)


@contextmanager
def inside(space: int) -> Iterator[None]:
    """Move this thread to the network namespace *space* while the block runs."""
    with _returning():
        setns(space, CLONE_NEWNET)
        yield


@contextmanager
def _returning() -> Iterator[None]:
    """Return this thread to the network namespace that it has now, after the block."""
    before = os.open(_SPACE, _READ)
    try:
        yield
    finally:
        try:
            setns(before, CLONE_NEWNET)
        finally:
            os.close(before)


def open_to_users(space: int) -> None:
    """Let all users in the namespace *space* listen on ports below 1024 and send pings, as in Docker."""
    settings = {"ip_unprivileged_port_start": "0", "ping_group_range": "0 2147483647"}
    with inside(space):
        for name, value in settings.items():
            with suppress(OSError):  # /proc/sys is read-only in a container
                Path("/proc/sys/net/ipv4", name).write_text(value, encoding="ascii")
