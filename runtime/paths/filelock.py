"""Locks on files and directories between processes, and the removal of what a dead process left behind.

A lock is a flock(2): it belongs to an open descriptor, so the kernel releases it when its holder ends, for whatever
reason. Temporary files and directories are locked when they are made, and `sweep` removes those whose lock is free.
Threads of one process exclude each other as well, because each opens a descriptor of its own.

The holder of an exclusive lock may remove the lock file. So after each flock it is checked that the name still leads to
the locked file; if not, the lock is taken again. NFS is not supported, since it has no flock on directories.
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
"""A file by which `sweep_marked` recognises directories of pybuild in /tmp. It is made after they are locked."""


@contextmanager
def exclusive(path: Path) -> Iterator[int]:
    """Wait for an exclusive lock on the file *path*, which is made if missing; yield its descriptor."""
    lock = _lock_file(path, fcntl.LOCK_EX)
    try:
        yield lock
    finally:
        os.close(lock)


@contextmanager
def shared(path: Path) -> Iterator[int]:
    """Wait for a shared lock on the file *path*, which is made if missing; yield its descriptor."""
    lock = _lock_file(path, fcntl.LOCK_SH)
    try:
        yield lock
    finally:
        os.close(lock)


def make_locked_directory(directory: Path, prefix: str) -> tuple[Path, int]:
    """Make a new directory of mode 0700 in *directory*; return it and the descriptor that holds its lock."""
    while True:
        path = directory / f"{prefix}{os.urandom(8).hex()}"
        path.mkdir(mode=0o700)
        with suppress(FileNotFoundError):
            lock = os.open(path, _DIRECTORY)
            if _flock_new(lock, path):
                return path, lock


def make_locked_file(directory: Path, prefix: str) -> tuple[Path, int]:
    """Make a new file of mode 0600 in *directory*; return it and the descriptor that holds its lock."""
    while True:
        path = directory / f"{prefix}{os.urandom(8).hex()}"
        lock = os.open(path, _FILE | os.O_EXCL, 0o600)
        if _flock_new(lock, path):
            return path, lock


def sweep(
    directory: Path, prefix: str, spared: str = "", *, before: Callable[[Path], None] = lambda _path: None
) -> list[str]:
    """Remove files and directories in *directory* that begin with *prefix* and are not locked; return their names.

    Names that begin with *spared*, if it is not empty, are left. *before* is called with each path, locked, before it
    is removed.
    """
    top = os.open(directory, _DIRECTORY)
    try:
        names = [name for name in os.listdir(top) if name.startswith(prefix)]
        wanted = [name for name in names if not (spared and name.startswith(spared))]
        return [name for name in wanted if _remove_unheld(top, name, partial(before, directory / name))]
    finally:
        os.close(top)


def sweep_marked(directory: Path, prefix: str) -> list[str]:
    """Do `sweep` for directories of this user that have the file `MARK`, and ignore failures.

    Nothing is removed from a *directory* in which another user could replace an entry between the check and the
    removal.
    """
    try:
        top = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # no $TMPDIR: there is nothing to remove
        return []
    removed = []
    try:
        names = os.listdir(top) if _is_safe(os.fstat(top)) else []
        for name in names:
            with suppress(OSError):  # removed meanwhile, or it cannot be: the next sweep tries again
                if name.startswith(prefix) and _is_marked(top, name) and _remove_unheld(top, name):
                    removed.append(name)
    finally:
        os.close(top)
    return removed


def remove_tree(dir_fd: int, name: str) -> None:
    """Remove *name* in the directory *dir_fd* with everything below it, if it exists, without following symlinks.

    A RUN step may make a tree of any depth, on which recursion would fail. So directories are moved up to the top
    before they are emptied, and neither the stack nor the number of descriptors grows with the depth.
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
        if still_at(lock, path):
            return lock
        os.close(lock)


def _flock_new(lock: int, path: Path) -> bool:
    """Lock a new file. Return False if a sweep in another process has found it unlocked, and removed it."""
    with suppress(BlockingIOError):  # that sweep has it locked
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if still_at(lock, path):
            return True
    os.close(lock)
    return False


def still_at(lock: int, path: Path) -> bool:
    """Return whether *path* still leads to the open file *lock*: who had it before may have renamed or removed it."""
    try:
        return os.path.samestat(os.fstat(lock), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _remove_unheld(top: int, name: str, before: Callable[[], None] = lambda: None) -> bool:
    try:
        found = os.stat(name, dir_fd=top, follow_symlinks=False)
        if stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode):
            # O_NONBLOCK: a FIFO that has taken its place by now must not make this wait.
            held = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=top)
        else:
            return False
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        before()
        # If its holder has just renamed it to its final name, this name does not exist, and nothing is removed.
        remove_tree(top, name)
    except BlockingIOError:  # its holder lives
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
    """Empty *directory* once, and return whether it had any entry.

    In *top*, directories are emptied and removed; in others they are moved to *top*, to be emptied in the next round.
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
                # For an ordinary user a directory must be writable to be moved to another parent (its ".." changes).
                os.close(_open_to_empty(directory, name))
                writable = True
            # With these, *top* has an entry of that name already. The next number is tried.
            elif error.errno not in {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR}:
                raise
            continue
        return


def _open_to_empty(dir_fd: int, name: str) -> int:
    """Open a directory to remove its entries. An ordinary user may have to make it readable and writable first."""
    handle = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        if os.geteuid() != 0 and os.fstat(handle).st_mode & 0o700 != 0o700:
            os.chmod(f"/proc/self/fd/{handle}", 0o700)
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=handle)
    finally:
        os.close(handle)
