"""Ends the processes of a run in a chroot (`runtime.chrooted`) after its keeper has died.

The kernel kills them with their tracer, the keeper, but some may still live a moment later. They are known by the mark
of their run: the value of RLIMIT_LOCKS, which has no effect, is inherited, and is shown to everybody in /proc.
"""

import os
import select
import signal
from collections.abc import Iterator
from contextlib import suppress

_BITS = 62
"""Of a mark, so that it is neither RLIM_INFINITY nor negative where 64 bits are signed."""
_LINE = b"Max file locks"  # of RLIMIT_LOCKS in /proc/PID/limits (proc(5))


def new_mark() -> int:
    """Return a random mark. Its highest bit is set, so it is larger than any limit that somebody would choose."""
    return int.from_bytes(os.urandom(8), "big") >> (64 - _BITS) | 1 << (_BITS - 1)


def end_marked(mark: int) -> None:
    """Kill every process that has *mark*, and return when there is none."""
    # Again until there is none: one that was not seen yet may have forked before it was killed.
    while left := list(_living(mark)):
        for pidfd in left:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        for pidfd in left:
            _await(pidfd)
            os.close(pidfd)


def _living(mark: int) -> Iterator[int]:
    """Yield a pidfd of each process with *mark* that has not ended."""
    for name in os.listdir("/proc"):
        if not name.isdigit() or _mark_of(name) != mark:
            continue
        with suppress(ProcessLookupError):
            pidfd = os.pidfd_open(int(name))
            # Read again after the pidfd was opened: the number may have been given to another process before.
            if _mark_of(name) == mark and not _has_ended(pidfd):
                yield pidfd
            else:
                os.close(pidfd)


def _mark_of(pid: str) -> int | None:
    with suppress(OSError, ValueError), open(f"/proc/{pid}/limits", "rb") as file:
        for line in file:
            if line.startswith(_LINE):
                return int(line.removeprefix(_LINE).split()[0])
    return None


def _has_ended(pidfd: int) -> bool:
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    return bool(poller.poll(0))


def _await(pidfd: int) -> None:
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    poller.poll()
