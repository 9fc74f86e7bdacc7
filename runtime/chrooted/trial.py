"""Tries what isolation chroot needs: ``python -I -S trial.py DIRECTORY WHAT...``, with the DIRECTORY of the trees.

It is a program of its own, because a trial changes its process. It prints a line for each WHAT: the errno, 0 for
success, and the name. What it makes in DIRECTORY it removes.
"""

import os
import signal
import sys
import tempfile
from collections.abc import Callable
from errno import EACCES, EPERM
from stat import S_IFCHR

sys.path.append(os.path.abspath(__file__).rsplit(os.sep, 4)[0])

from pybuild.runtime.kernel import ptrace
from pybuild.runtime.kernel.syscalls import PR_SET_NO_NEW_PRIVS, SIGKILL, prctl, set_seccomp_filter

_ALLOWING = bytes.fromhex("06000000") + (0x7FFF0000).to_bytes(4, "little")
"""A filter that allows every call."""
_NULL, _KMSG = (1, 3), (1, 11)  # from the kernel's list of devices (admin-guide/devices.txt)


def try_chroot(directory: str) -> None:
    """Make a directory the root of this process."""
    os.chroot(directory)


def try_filter(_directory: str) -> None:
    """Set no_new_privs and a filter of system calls."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    set_seccomp_filter(_ALLOWING)


def try_trace(_directory: str) -> None:
    """Trace another process."""
    child = os.fork()
    if child == 0:
        signal.pause()
    try:
        ptrace.seize(child)
    finally:
        os.kill(child, SIGKILL)
        os.waitpid(child, 0)


def try_nodes(directory: str) -> None:
    """Make and use a device node."""
    with open(_node(directory, "null", _NULL), "r+b", buffering=0) as file:
        file.write(b"x")


def try_programs(directory: str) -> None:
    """Make a program that can be executed: the file system must not be mounted with noexec."""
    path = f"{directory}/program"
    with open(path, "w", encoding="ascii") as file:
        file.write("#!/nonexistent\n")
    os.chmod(path, 0o700)
    if os.statvfs(path).f_flag & os.ST_NOEXEC:
        raise OSError(EACCES, os.strerror(EACCES))


def try_devices(directory: str) -> None:
    """Fail unless the kernel log is refused, a device that no container has: images may have nodes of any device."""
    try:
        os.close(os.open(_node(directory, "kmsg", _KMSG), os.O_WRONLY | os.O_NONBLOCK))
    except PermissionError:
        return
    raise OSError(EPERM, os.strerror(EPERM))


def _node(directory: str, name: str, numbers: tuple[int, int]) -> str:
    path = f"{directory}/{name}"
    os.mknod(path, S_IFCHR | 0o600, os.makedev(*numbers))
    return path


_TRIALS: dict[str, Callable[[str], None]] = {
    "chroot": try_chroot,
    "filter": try_filter,
    "trace": try_trace,
    "programs": try_programs,
    "nodes": try_nodes,
    "devices": try_devices,
}


def attempt(trial: Callable[[str], None], directory: str) -> int:
    """Return the errno of one trial, made in a process of its own."""
    child = os.fork()
    if child == 0:
        try:
            trial(directory)
        except Exception as error:  # noqa: BLE001 - whatever is wrong, the answer is no
            os._exit(getattr(error, "errno", 0) or 1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="tmp-trial-", dir=sys.argv[1]) as made:
        for what in sys.argv[2:]:
            os.write(1, f"{attempt(_TRIALS[what], made)} {what}\n".encode())
