"""Locks on files and directories between processes, and the removal of what a dead process left behind.

A lock is a flock: it belongs to an open descriptor, so it ends with its holder however the holder ends, and a lock
that can be had proves that nobody is at work. Temporary files and directories are made **locked**; `sweep` removes
those whose lock is free. Holders in one process exclude each other as well, because each opens a descriptor of its own.

Lock files may be removed by whoever holds them exclusively: after each flock it is checked that the name still leads
to the locked file, else the lock is taken again. Not for NFS, where a flock on a directory does not exist.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
MARK = ".pybuild-scratch"
"""The file that tells a directory of ours where other programs have theirs, such as /tmp; made when it is locked."""


@contextmanager
def exclusive(path: Path) -> Iterator[int]:
    """Hold the lock file *path* alone, waiting for it; made when missing. Yields its descriptor."""
    lock = _lock_file(path, fcntl.LOCK_EX)
    try:
        yield lock
    finally:
        os.close(lock)


@contextmanager
def shared(path: Path) -> Iterator[int]:
    """Hold the lock file *path* together with other readers, waiting for it; made when missing."""
    lock = _lock_file(path, fcntl.LOCK_SH)
    try:
        yield lock
    finally:
        os.close(lock)


def new_locked_directory(directory: Path, prefix: str) -> tuple[Path, int]:
    """Make a new directory of mode 0700 in *directory*; return it and the descriptor that holds its lock."""
    while True:
        path = directory / f"{prefix}{os.urandom(8).hex()}"
        path.mkdir(mode=0o700)
        with suppress(FileNotFoundError):
            lock = os.open(path, _DIRECTORY)
            if _flock_new(lock, path):
                return path, lock


def new_locked_file(directory: Path, prefix: str) -> tuple[Path, int]:
    """Make a file of mode 0600 with a fresh name in *directory*; return it and its descriptor, which holds its lock."""
    while True:
        path = directory / f"{prefix}{os.urandom(8).hex()}"
        lock = os.open(path, _FILE | os.O_EXCL, 0o600)
        if _flock_new(lock, path):
            return path, lock


def sweep(
    directory: Path, prefix: str, spared: str = "", *, before: Callable[[Path], None] = lambda _path: None
) -> list[str]:
    """Remove what begins with *prefix* in *directory* and is held by nobody; return the names.

    Those that begin with *spared* stay, unless that is empty. *before* is called with each, locked, before it goes.
    """
    top = os.open(directory, _DIRECTORY)
    try:
        names = [name for name in os.listdir(top) if name.startswith(prefix)]
        wanted = [name for name in names if not (spared and name.startswith(spared))]
        return [name for name in wanted if _remove_unheld(top, name, partial(before, directory / name))]
    finally:
        os.close(top)


def sweep_marked(directory: Path, prefix: str) -> list[str]:
    """Remove as `sweep` does, but only directories of this user that have the file `MARK`; failures are no errors.

    Nothing is removed where another user could exchange a directory between the look at it and its removal.
    """
    try:
        top = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return []
    removed = []
    try:
        names = os.listdir(top) if _is_safe(os.fstat(top)) else []
        for name in names:
            with suppress(OSError):
                if name.startswith(prefix) and _is_marked(top, name) and _remove_unheld(top, name):
                    removed.append(name)
    finally:
        os.close(top)
    return removed


def remove_tree(dir_fd: int, name: str) -> None:
    """Remove *name* in the directory *dir_fd* with everything below it, without following symlinks, if it exists.

    Directories move up to the top before they are emptied, so neither the stack nor the number of descriptors grows
    with the depth of the tree, which a RUN step chooses.
    """
    try:
        os.unlink(name, dir_fd=dir_fd)
    except FileNotFoundError:
        return
    except IsADirectoryError:
        top = _open_to_empty(dir_fd, name)
        try:
            numbers = count()
            while _empty_once(top, top, numbers):
                pass
        finally:
            os.close(top)
        os.rmdir(name, dir_fd=dir_fd)


def _lock_file(path: Path, operation: int) -> int:
    while True:
        lock = os.open(path, _FILE, 0o600)
        try:
            fcntl.flock(lock, operation)
        except BaseException:
            os.close(lock)
            raise
        if _still_at(lock, path):
            return lock
        os.close(lock)


def _flock_new(lock: int, path: Path) -> bool:
    """Lock a new file; False when a sweep has found it before it was locked, and removed it."""
    with suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _still_at(lock, path):
            return True
    os.close(lock)
    return False


def _still_at(lock: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(lock), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _remove_unheld(top: int, name: str, before: Callable[[], None] = lambda: None) -> bool:
    try:
        found = os.stat(name, dir_fd=top, follow_symlinks=False)
        if stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode):
            held = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=top)
        else:
            return False
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        before()
        # Its holder may have renamed it to its final name since it was opened; then this name is nobody's.
        remove_tree(top, name)
    except BlockingIOError:
        return False
    finally:
        os.close(held)
    return True


def _is_safe(directory: os.stat_result) -> bool:
    return directory.st_uid in {0, os.geteuid()} and bool(
        directory.st_mode & stat.S_ISVTX or not directory.st_mode & 0o022
    )


def _is_marked(top: int, name: str) -> bool:
    found = os.stat(name, dir_fd=top, follow_symlinks=False)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        return False
    mark = os.stat(f"{name}/{MARK}", dir_fd=top, follow_symlinks=False)
    return stat.S_ISREG(mark.st_mode) and mark.st_uid == found.st_uid


def _empty_once(directory: int, top: int, numbers: Iterator[int]) -> bool:
    """Remove the entries of *directory*, and move directories two levels down up to *top*.

    Returns whether there was any entry.
    """
    found = False
    with os.scandir(directory) as entries:
        for entry in entries:
            found = True
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.name, dir_fd=directory)
            elif directory != top:
                _move_up(directory, entry.name, top, numbers)
            else:
                inner = _open_to_empty(top, entry.name)
                try:
                    _empty_once(inner, top, numbers)
                finally:
                    os.close(inner)
                os.rmdir(entry.name, dir_fd=top)
    return found


def _move_up(directory: int, name: str, top: int, numbers: Iterator[int]) -> None:
    writable = False
    for number in numbers:
        try:
            os.rename(name, f".{number}", src_dir_fd=directory, dst_dir_fd=top)
        except OSError as error:
            if error.errno == errno.EACCES and not writable:
                # Without privilege a directory must be writable to get another parent.
                os.close(_open_to_empty(directory, name))
                writable = True
            elif error.errno not in {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR}:
                raise
            continue
        return


def _open_to_empty(dir_fd: int, name: str) -> int:
    """Open a directory and make its entries removable. Only a user without privileges needs to change its mode."""
    handle = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        if os.geteuid() != 0 and os.fstat(handle).st_mode & 0o700 != 0o700:
            os.chmod(f"/proc/self/fd/{handle}", 0o700)
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=handle)
    finally:
        os.close(handle)
