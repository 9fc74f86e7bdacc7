"""Copies of the source tree that mutants are made in, so that nobody's work is ever edited."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from tests.mutants.mutant import Edit, Mutant

SOURCE = Path(__file__).parents[2]
_LEFT_OUT = shutil.ignore_patterns("__pycache__", ".*_cache", "*.egg-info")
_LEFT_OUT_AT_TOP = {".git", ".venv", ".hypothesis", "build", "dist"}
# Python takes compiled code for good when size and whole second of the source are the same: each edit gets a second
# of its own, long past, where no file of the tree is.
_SECONDS = count(10**9)


class EditDoesNotApply(Exception):
    """The text that an edit replaces does not stand exactly once in its file, or what comes out is no Python."""


class Copy:
    """One copy of the tree, for one mutant at a time."""

    def __init__(self, directory: Path, source: Path = SOURCE) -> None:
        """Copy *source* into the empty *directory*."""
        self.root, self.scratch = directory / "tree", directory / "tmp"

        def left_out(directory: str, names: list[str]) -> set[str]:
            # A package may be named build, too.
            return _LEFT_OUT(directory, names) | (_LEFT_OUT_AT_TOP if Path(directory) == source else set())

        shutil.copytree(source, self.root, symlinks=True, ignore=left_out)

    @contextmanager
    def mutated(self, mutant: Mutant) -> Iterator[None]:
        """Have the edits of *mutant* in the copy.

        Raises:
            EditDoesNotApply: the code has changed since the edit was written.
        """
        before: dict[Path, bytes] = {}
        try:
            for edit in mutant.edits:
                path = self.root / edit.file
                before.setdefault(path, path.read_bytes() if path.is_file() else b"")
                _write(path, edited(path, edit).encode())
            yield
        finally:
            for path, content in before.items():
                _write(path, content)


def edited(path: Path, edit: Edit) -> str:
    """Return the text of *path* after *edit*. Raises EditDoesNotApply."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    found = text.count(edit.old) if edit.old else 0
    if found != 1:
        raise EditDoesNotApply(f"{edit.file}: {edit.old!r} stands {found} times")
    new = text.replace(edit.old, edit.new)
    if path.suffix == ".py":
        try:
            compile(new, edit.file, "exec")
        except SyntaxError as error:
            raise EditDoesNotApply(f"{edit.file}: no Python after the edit: {error}") from None
    return new


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    second = next(_SECONDS)
    os.utime(path, (second, second))


@contextmanager
def copies(number: int) -> Iterator[list[Copy]]:
    """Make that many copies, and remove them in the end."""
    # A short name: tests bind sockets below it, whose paths end at 107 bytes.
    with tempfile.TemporaryDirectory(prefix="mut-", ignore_cleanup_errors=True) as directory:
        yield [Copy(Path(directory) / str(each)) for each in range(number)]
