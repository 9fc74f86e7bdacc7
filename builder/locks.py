"""Locks of a store, by name: files below ``locks/`` that die with the process that holds them.

They are advisory and may be taken by any number of processes and threads; the name is hashed, so any text will do.
"""

import errno
import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.errors import Cancelled

_FIRST_WAIT = 0.002
_LONGEST_WAIT = 0.1


def _never() -> bool:
    return False


class Locks:
    """Shared and exclusive locks in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def exclusive(self, name: str, cancelled: Callable[[], bool] = _never) -> Iterator[None]:
        """Hold *name* alone. Raises Cancelled when *cancelled* says so while waiting."""
        with self._held(name, fcntl.LOCK_EX, cancelled):
            yield

    @contextmanager
    def shared(self, name: str, cancelled: Callable[[], bool] = _never) -> Iterator[None]:
        """Hold *name* together with others that share it."""
        with self._held(name, fcntl.LOCK_SH, cancelled):
            yield

    @contextmanager
    def _held(self, name: str, kind: int, cancelled: Callable[[], bool]) -> Iterator[None]:
        path = self._folder / hashlib.sha256(name.encode()).hexdigest()[:32]
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            _wait(handle, kind, cancelled)
            yield
        finally:
            os.close(handle)


def _wait(handle: int, kind: int, cancelled: Callable[[], bool]) -> None:
    """Take the lock, asking again and again: a thread that blocks in the kernel could not be interrupted."""
    pause = _FIRST_WAIT
    while True:
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in {errno.EWOULDBLOCK, errno.EINTR}:
                raise
        else:
            return
        if cancelled():
            raise Cancelled("interrupted while waiting for another build")
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_WAIT)
