"""Locks of a store, by name: locks on files below ``locks/``, which end with the process that holds them.

They are advisory, and shared by processes and threads alike. The name is hashed, so it may be any text.
`computed_once` is for threads of one process: an attribute that one of them computes for all.
"""

import errno
import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import Any, TypeVar

from pybuild.builder.errors import Cancelled, StoreError
from pybuild.builder.store.free_space import not_writable

_FIRST_WAIT = 0.002
_LONGEST_WAIT = 0.1
_SAY_AFTER = 2.0
"""Seconds after which a wait is reported."""
_NOT_WRITABLE = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL})
_OPEN = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_NAME_LENGTH = 32
"""128 bits of the hash: collisions do not happen, and names stay short."""
LASTING = "gc"
"""The lock whose file is never removed, so that it can be taken on a disk without free inodes."""


_T = TypeVar("_T")


class computed_once(cached_property[_T]):  # noqa: N801 - a decorator
    """A `functools.cached_property` whose value all threads share: since Python 3.12 each may compute one of its own.

    Two snapshotters of one store would not know of each other's active snapshots.
    """

    def __init__(self, function: Callable[[Any], _T]) -> None:
        super().__init__(function)
        self._turn = RLock()  # one value may need another one of the same object

    def __get__(self, instance: object, owner: type[Any] | None = None) -> _T:  # type: ignore[override]
        """Compute the value, or return the one that another thread has computed. Later it is an attribute."""
        with self._turn:
            value: _T = super().__get__(instance, owner)
            return value


def _never() -> bool:
    return False


def _silent() -> None:
    """Ignore the wait."""


class Locks:
    """Shared and exclusive locks in one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @contextmanager
    def exclusive(
        self, name: str, cancelled: Callable[[], bool] = _never, waiting: Callable[[], None] = _silent
    ) -> Iterator[None]:
        """Hold *name* exclusively. Raises Cancelled when *cancelled* returns true during the wait.

        *waiting* is called once, when the wait takes longer than a moment.
        """
        path = self._path(name)
        handle = self._acquire(path, fcntl.LOCK_EX, cancelled, waiting)
        try:
            yield
        finally:
            if handle is not None:
                # Otherwise a store would collect a file for every step that ever ran. While the lock is held: after
                # that, the file may be locked by another process, and a third one would lock a new file.
                if name != LASTING:
                    path.unlink(missing_ok=True)
                os.close(handle)

    @contextmanager
    def shared(
        self, name: str, cancelled: Callable[[], bool] = _never, waiting: Callable[[], None] = _silent
    ) -> Iterator[None]:
        """Hold *name* shared."""
        handle = self._acquire(self._path(name), fcntl.LOCK_SH, cancelled, waiting)
        try:
            yield
        finally:
            if handle is not None:
                os.close(handle)

    def is_held(self, name: str) -> bool:
        """Return whether anyone holds *name*. Writes nothing, so that it works on a full or read-only disk."""
        try:
            handle = os.open(self._path(name), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return False
        try:
            return not _try_lock(handle, fcntl.LOCK_EX)
        finally:
            os.close(handle)

    def make_lasting(self) -> None:
        """Create the permanent file while the disk has a free inode."""
        path = self._path(LASTING)
        if not path.exists():
            with suppress(OSError):  # no free inode: the next command tries again
                path.touch(mode=0o600)

    def sweep(self) -> None:
        """Remove the files of unused locks."""
        for name in os.listdir(self._directory):
            if len(name) == _NAME_LENGTH and name != self._path(LASTING).name:
                self._remove_free(self._directory / name)

    def _remove_free(self, path: Path) -> None:
        with suppress(OSError):  # the lock is held, or the file has been removed
            handle = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_at(handle, path):
                    path.unlink()
            finally:
                os.close(handle)

    def _path(self, name: str) -> Path:
        return self._directory / hashlib.sha256(name.encode()).hexdigest()[:_NAME_LENGTH]

    def _acquire(self, path: Path, kind: int, cancelled: Callable[[], bool], waiting: Callable[[], None]) -> int | None:
        """Return the descriptor that holds the lock; None in a read-only store, where no lock is needed."""
        while True:
            handle = _open_lock(path, kind)
            if handle is None:
                return None
            try:
                _wait(handle, kind, cancelled, waiting)
                # The last holder has removed the file meanwhile: the lock on it is worthless.
                if _is_at(handle, path):
                    return handle
            except BaseException:
                os.close(handle)
                raise
            os.close(handle)


def _open_lock(path: Path, kind: int) -> int | None:
    try:
        return os.open(path, _OPEN, 0o600)
    except OSError as error:
        if error.errno not in _NOT_WRITABLE:
            raise
        if kind == fcntl.LOCK_EX:
            raise not_writable(path.parents[1], error) from error
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _wait(handle: int, kind: int, cancelled: Callable[[], bool], waiting: Callable[[], None]) -> None:
    """Take the lock by polling: a thread that blocks in flock(2) could not be interrupted."""
    if _try_lock(handle, kind):
        return
    from pybuild.runtime.stopping import check

    pause, began, said = _FIRST_WAIT, time.monotonic(), False
    while not _try_lock(handle, kind):
        check()
        if cancelled():
            raise Cancelled("interrupted while waiting for another build")
        if not said and time.monotonic() - began > _SAY_AFTER:
            said = True
            waiting()
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_WAIT)


def _try_lock(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _NO_LOCKS:
            place = os.path.dirname(os.readlink(f"/proc/self/fd/{handle}"))
            raise StoreError(
                f"{place}: this file system has no file locks, which a store needs",
                hint="put the store on another file system with --root or $PYBUILD_ROOT",
            ) from error
        if error.errno not in {errno.EWOULDBLOCK, errno.EINTR}:
            raise
        return False
    return True
