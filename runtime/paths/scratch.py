"""A directory for the time of a block, below a directory that others use too."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pybuild.runtime.paths.filelock import MARK, new_locked_directory, remove_tree


@contextmanager
def scratch(prefix: str, above: Path | None = None) -> Iterator[Path]:
    """Make a directory that nobody else enters in *above*, $TMPDIR by default; it is locked, and gone afterwards.

    The standard library's removal calls itself for each level, and a tree may be deeper than that can go.
    """
    path, lock = new_locked_directory(above or Path(tempfile.gettempdir()), prefix)
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
    """Make an empty directory in $TMPDIR that is gone afterwards; when the process is killed, another one sweeps it."""
    with scratch("pybuild-") as place:
        (place / MARK).touch(mode=0o600)
        inner = place / "d"  # short: names of sockets are limited
        inner.mkdir(mode=0o700)
        yield inner
