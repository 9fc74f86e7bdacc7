"""Processes by descriptor: the number of a process alone may have become that of another one."""

import ctypes
import os
import select

_libc = ctypes.CDLL(None, use_errno=True)
_PIDFD_SEND_SIGNAL = 424
_FIELDS_BEFORE_START = 19
"""Of /proc/PID/stat, between the state and the start time."""


def send_signal(pidfd: int, number: int) -> None:
    """Send a signal to the process *pidfd*. Raises ProcessLookupError when it has ended."""
    if _libc.syscall(_PIDFD_SEND_SIGNAL, pidfd, number, None, 0) == -1:
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno))


def has_ended(pidfd: int) -> bool:
    """Return whether the process *pidfd* has ended."""
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    return bool(poller.poll(0))


def number_of(pidfd: int) -> int:
    """Return the number of the process *pidfd* in our PID namespace, -1 when it has ended."""
    with open(f"/proc/self/fdinfo/{pidfd}", "rb") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(b"Pid:"))


def start_time(pid: int) -> int:
    """Return when process *pid* was started, in ticks of the clock since the boot, 0 when there is none.

    With the number and the boot it names a process for ever.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name in parentheses may hold anything.
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(fields[_FIELDS_BEFORE_START])


def open_process(pid: int, started: int) -> int | None:
    """Return a pidfd of process *pid* if it is the one that was *started* then, None when that has ended."""
    try:
        pidfd = os.pidfd_open(pid)
    except (ProcessLookupError, OSError):
        return None
    # Looked at after the descriptor is had: a number in use by it is given to nobody else.
    if start_time(pid) == started:
        return pidfd
    os.close(pidfd)
    return None
