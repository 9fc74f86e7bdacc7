"""Processes by descriptor, because a number may belong to another process by now, and children that have ended.

Number, start time and boot together identify a process in a file.
"""

import ctypes
import os
import select
from errno import EINVAL, ESRCH

_libc = ctypes.CDLL(None, use_errno=True)
_PIDFD_SEND_SIGNAL, _PIDFD_GETFD = 424, 438
_PIDFD_THREAD = os.O_EXCL
_FIELDS_BEFORE_START = 19
"""Of /proc/PID/stat, between the state and the start time."""
_left: set[int] = set()
"""The children of `leave` that have not been reaped."""


def send_signal(pidfd: int, number: int) -> None:
    """Send a signal to the process *pidfd*. Does nothing when that has ended, as it may at any moment."""
    if _libc.syscall(_PIDFD_SEND_SIGNAL, pidfd, number, None, 0) == -1:
        errno = ctypes.get_errno()
        if errno != ESRCH:
            raise OSError(errno, os.strerror(errno))


def open_thread(tid: int) -> int:
    """Return a pidfd of a thread. Before Linux 6.9 there are none but of the first thread of each process."""
    try:
        return os.pidfd_open(tid, _PIDFD_THREAD)
    except OSError as error:
        if error.errno != EINVAL:
            raise
        return os.pidfd_open(tid)


def copy_descriptor(pidfd: int, number: int) -> int:
    """Return a copy of the descriptor *number* of the process or thread *pidfd*, which may be traced (ptrace(2))."""
    copy: int = _libc.syscall(_PIDFD_GETFD, pidfd, number, 0)
    if copy < 0:
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno))
    return copy


def has_ended(pidfd: int) -> bool:
    """Return whether the process *pidfd* has ended."""
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    return bool(poller.poll(0))


def reap_children() -> list[tuple[int, int]]:
    """Return the (number, wait status) of each child that has ended, without waiting for others.

    One SIGCHLD may stand for several children, since a signal that is pending already is not queued again.
    """
    found: list[tuple[int, int]] = []
    while True:
        try:
            child, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:  # there is no child at all
            return found
        if child == 0:
            return found
        found.append((child, status))


def leave(child: int) -> None:
    """Leave a *child* to itself, and reap the ones that were left before and have ended.

    Otherwise a program that starts many containers would have a zombie of each until it ends.
    """
    for each in tuple(_left):
        try:
            _left.remove(each)
            lives = os.waitpid(each, os.WNOHANG)[0] == 0
        except (KeyError, ChildProcessError):  # another thread looks at it, or has waited for all children
            continue
        if lives:
            _left.add(each)
    _left.add(child)


def number_of(pidfd: int) -> int:
    """Return the number of the process *pidfd* in the PID namespace of this process, -1 when it has ended."""
    with open(f"/proc/self/fdinfo/{pidfd}", "rb") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(b"Pid:"))


def start_time(pid: int) -> int:
    """Return when process *pid* was started, in clock ticks since the boot, 0 when there is no such process.

    It is the same for as long as the process lives, and differs from that of a later process with its number.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name of the program, in parentheses, may itself have blanks and parentheses.
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(fields[_FIELDS_BEFORE_START])


def boot_id() -> str:
    """Return the text by which the kernel identifies the time since the host was booted."""
    with open("/proc/sys/kernel/random/boot_id", "rb") as file:
        return file.read().decode().strip()


def open_process(pid: int, started: int) -> int | None:
    """Return a pidfd of process *pid* if that has the `start_time` *started*, None when it has ended."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:  # it has ended, or the number is that of a thread
        return None
    # Compared after the descriptor was opened: if the process still has its number now, it had it then as well.
    if start_time(pid) == started:
        return pidfd
    os.close(pidfd)
    return None
