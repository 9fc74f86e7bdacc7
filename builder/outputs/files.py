"""Files that a user asked for by name: written completely or not at all."""

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from errno import EBUSY
from pathlib import Path
from typing import BinaryIO

from pybuild.builder.errors import RequestError
from pybuild.builder.outputs.free_space import Space
from pybuild.builder.store.free_space import writing

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

_THERE = os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """Open a new file that takes the place of *path* when the block ends well; an error leaves *path* as it was.

    A symlink at *path* is replaced, not followed. A device or a pipe (``/dev/stdout``, a process substitution) and a
    file that is mounted (``/dev/termination-log`` in a pod) cannot be replaced, so they are written to.
    """
    if _is_special(path):
        with writing(path), path.open("wb") as file:
            yield file
        return
    # Without the user's name: a name may have 255 bytes (NAME_MAX), which leaves no room for anything beside it.
    new = path.with_name(f".pybuild-{os.urandom(8).hex()}")
    try:
        handle = os.open(new, _NEW, 0o666)
    except OSError as error:
        # The error names the path that the user gave, not the temporary one.
        error.filename = os.fspath(path)
        raise
    try:
        with writing(path), os.fdopen(handle, "wb") as file:
            yield file
        _rename(new, path)
    except BaseException:
        with suppress(FileNotFoundError):
            new.unlink()
        raise


def _rename(new: Path, path: Path) -> None:
    try:
        new.rename(path)
    except OSError as error:
        if error.errno != EBUSY:
            raise
        # Something is mounted there. A symlink that took its place meanwhile is not followed.
        with new.open("rb") as source, os.fdopen(os.open(path, _THERE), "wb") as target:
            shutil.copyfileobj(source, target)
        new.unlink()


def replace_file(path: Path, content: bytes) -> None:
    """Replace the file *path* atomically: a reader sees the old content or the new one, never a part."""
    try:
        with replaced(path) as file:
            file.write(content)
    except OSError as error:
        if error.filename is not None:
            raise
        # An error of write(2) has no file name, and "no space left" without one would be blamed on the store.
        raise OSError(error.errno, error.strerror, str(path.absolute())) from error


def check_destination(path: Path | None) -> None:
    """Raise RequestError when the directory of *path* is missing: before the long work, not after it."""
    if path is not None and not path.parent.is_dir():
        raise RequestError(f"open {path}: no such file or directory", hint=f"there is no directory {path.parent}")
    if path is not None and path.is_dir():
        raise RequestError(f"open {path}: is a directory")


def check_directory(dest: Path) -> None:
    """Raise RequestError when *dest* exists and is not a directory."""
    if dest.exists() and not dest.is_dir():
        raise RequestError(f"{dest}: is not a directory")


@contextmanager
def made_parents(dest: Path) -> Iterator[None]:
    """Make the directories above *dest* for a block that makes it; when it fails, those that were made are removed."""
    missing = [path for path in dest.parents if not path.exists()]
    dest.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        with suppress(OSError):  # another program has put something there
            for path in missing:
                path.rmdir()
        raise


@contextmanager
def standard_output() -> Iterator[BinaryIO]:
    """Open standard output for an archive; refuses a terminal."""
    if os.isatty(1):
        raise RequestError("refusing to write an archive to a terminal", hint="redirect it, or name a file")
    with writing("/dev/stdout"), os.fdopen(os.dup(1), "wb") as file:
        yield file


@contextmanager
def destination(path: Path | None) -> Iterator[BinaryIO]:
    """Open the destination of an archive: the file *path*, or standard output when it is None.

    Raises:
        RequestError: the directory of the file is missing, or it is a directory.
    """
    check_destination(path)
    with standard_output() if path is None else replaced(path) as file:
        yield file


def sink(file: BinaryIO) -> Callable[[bytes | memoryview], None]:
    """Return the function that writes a whole piece to *file*."""
    space = Space(file.fileno())

    def put(piece: bytes | memoryview) -> None:
        space.take(len(piece))
        file.write(piece)

    return put


def _is_special(path: Path) -> bool:
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(mode):
        raise RequestError(f"{path}: is a directory", hint="name a file")
    return not stat.S_ISREG(mode)
