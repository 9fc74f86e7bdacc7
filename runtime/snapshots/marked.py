"""Processes of a run whose keeper has died: the kernel kills them, and this waits for it; or it kills them itself.

All of them have the mark of their run as a limit without effect (`inside/keeper.py`), which everybody may read.
"""

import os
import secrets
import select
import signal
from collections.abc import Iterator
from contextlib import suppress

_BITS = 62
"""Less than what means no limit, and than a signed number."""
_LINE = b"Max file locks"


def new_mark() -> int:
    """Return a mark that no other run has."""
    return secrets.randbits(_BITS) | 1 << (_BITS - 1)


def end_marked(mark: int) -> None:
    """Kill every process that has *mark*, and return when there is none."""
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
            # Once more: the number may have been given to another process.
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
