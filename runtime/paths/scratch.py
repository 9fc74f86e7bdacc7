"""Temporary directories, in a directory that other programs use, too."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pybuild.runtime.paths.filelock import MARK, make_locked_directory, remove_tree


@contextmanager
def scratch(prefix: str, above: Path | None = None) -> Iterator[Path]:
    """Make a locked directory of this user in *above*, by default $TMPDIR, for a block; it is removed afterwards.

    Not with `tempfile.TemporaryDirectory`, whose removal is recursive and fails for very deep trees.
    """
    path, lock = make_locked_directory(above or Path(tempfile.gettempdir()), prefix)
    try:
        yield path
    finally:
        top = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            remove_tree(top, path.name)
        finally:
            os.close(top)
            os.close(lock)


@contextmanager
def temporary() -> Iterator[Path]:
    """Make an empty directory in $TMPDIR for a block. If this process is killed, a later `sweep_marked` removes it."""
    with scratch("pybuild-") as place:
        (place / MARK).touch(mode=0o600)
        inner = place / "d"  # a short name, because paths of sockets have at most 107 bytes
        inner.mkdir(mode=0o700)
        yield inner
