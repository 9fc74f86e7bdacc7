"""Free space on the disk of a store: the errors of a full one, and a reserve for the commands that free some.

    <root>/reserve/<number>    occupies space and an inode; removed while space is freed, created again afterwards

To remove a record the database needs a log, and to remove a name of an image the layout needs a new index: on a disk
that is completely full neither could be written without the reserve.
"""

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pybuild.builder.errors import BuildError, StoreError
from pybuild.runtime.errors import kernel_reason
from pybuild.runtime.paths.filesystems import disk_space

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FILES = 8
"""Files of the reserve: a command that frees space needs a few inodes at a time."""
_SIZE = 128 << 10
"""Bytes of each file: room for a page of the log or for a new index."""
_SPARE = 4
"""The reserve is created when this many times its size is free."""
_FULL_HINT = '"pybuild prune -a" removes the build cache; --root or $PYBUILD_ROOT selects another directory'
_READ_ONLY_HINT = "commands that only read still work; --root or $PYBUILD_ROOT selects another directory"


def no_room(root: Path) -> StoreError:
    """Return the error for a store whose disk, or quota, is full."""
    return StoreError(f"no space left in {root}", hint=_FULL_HINT)


def not_writable(root: Path, error: OSError | None = None) -> StoreError:
    """Return the error for a read-only store, as *error* reports it."""
    if error is None or error.errno == errno.EROFS:
        return StoreError(f"the store {root} is read-only", hint=_READ_ONLY_HINT)
    return StoreError(f"the store {root} cannot be written: {kernel_reason(error)}", hint=_READ_ONLY_HINT)


def is_short(root: Path) -> bool:
    """Return whether the disk of the store, or the quota, has almost no free space or inodes."""
    status = os.statvfs(root)
    # File systems that create inodes as needed, such as btrfs, report 0 of 0.
    few_inodes = status.f_files > 0 and status.f_favail < _FILES
    return few_inodes or disk_space(root)[1] < _SIZE or not _can_grow(root)


def _can_grow(root: Path) -> bool:
    """Return whether a file can be written: statvfs does not report the quota of a user."""
    path = root / f".room-{os.getpid()}-{threading.get_native_id()}"
    try:
        _hold(path)
    except OSError as error:
        return error.errno not in FULL
    finally:
        with suppress(OSError):  # some file systems need space to remove a file
            path.unlink(missing_ok=True)
    return True


def store_failure(error: OSError, root: Path) -> StoreError | None:
    """Return *error* as an error of the store at *root*; None when it is about another place."""
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    elsewhere = any(name.startswith("/") and not _is_below(name, root) for name in names)
    if elsewhere or error.errno not in {*FULL, errno.EROFS}:
        return None
    return no_room(root) if error.errno in FULL else not_writable(root, error)


def _is_below(name: str, root: Path) -> bool:
    # A file that is named by a descriptor was opened by code that works in the store.
    return name.startswith("/proc/self/fd/") or Path(name).is_relative_to(root)


@contextmanager
def storing(root: Path) -> Iterator[None]:
    """Raise an OSError of the block about a full or read-only store as a StoreError."""
    try:
        yield
    except OSError as error:
        failure = store_failure(error, root)
        if failure is None:
            raise
        raise failure from error


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Add *path*, which the block writes to, to an OSError of the block about a full disk.

    The error of a write to an open file has no file name, and one without a name would be blamed on the store.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            error.filename, error.filename2 = os.path.abspath(path), None
        raise


@contextmanager
def in_temporary() -> Iterator[None]:
    """Raise an OSError about a full disk, of a block that writes to $TMPDIR only, as a BuildError that names it."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        import tempfile

        message = f"no space left in {tempfile.gettempdir()}, the directory of temporary files"
        raise BuildError(message, hint="$TMPDIR selects another directory") from error


def make_reserve(root: Path) -> None:
    """Create the reserve, unless it exists or space is short already."""
    directory = root / "reserve"
    if (directory / str(_FILES - 1)).exists():
        return
    if disk_space(root)[1] < _SPARE * _FILES * _SIZE:
        return
    # Without the reserve everything works except freeing space on a full disk.
    with suppress(OSError):
        directory.mkdir(mode=0o700, exist_ok=True)
        for number in range(_FILES):
            _hold(directory / str(number))


def _hold(path: Path) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        # A sparse file would occupy nothing.
        os.posix_fallocate(handle, 0, _SIZE)
    finally:
        os.close(handle)


def give_up_reserve(root: Path) -> bool:
    """Remove the reserve; return whether there was one."""
    found = False
    # The last one first: `make_reserve` takes it for the sign that the reserve is complete.
    for number in reversed(range(_FILES)):
        with suppress(FileNotFoundError):
            os.unlink(root / "reserve" / str(number))
            found = True
    return found
