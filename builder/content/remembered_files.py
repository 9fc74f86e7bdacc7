"""What a store remembers of the files of a source: rows of the database, and the digests of files in two of them.

One row has a text for each directory of the source, and the other has what changed since that was written: when one of
many files was touched, not all are written again, and the texts of other directories stay unread.
"""

import marshal
import sys
from contextlib import suppress
from typing import Any

from pybuild.builder.store.database import Database

_SMALL_PART = 16
"""The row of all files is written again when more than this part of them were read since."""
# The format of marshal may differ between versions of Python; another version does not find the row.
_FORMAT = f"5 {sys.version_info.major}.{sys.version_info.minor}"


def load_row(database: Database, name: str) -> dict[Any, Any]:
    """Return the row called *name*; it is empty when there is none, or one that cannot be read."""
    row = database.one("SELECT digests FROM file_digests WHERE folder = ?", (name,))
    return _load(row and row[0])


def store_row(database: Database, name: str, known: dict[Any, Any]) -> None:
    """Store the row called *name*, and empty *known*: the database copies the row, which may be large."""
    row = marshal.dumps(known)
    known.clear()
    database.run("REPLACE INTO file_digests VALUES (?, ?)", (name, row))


def _load(text: object) -> dict[Any, Any]:
    known: object = None
    if isinstance(text, bytes):
        with suppress(ValueError, EOFError, TypeError):
            known = marshal.loads(text)  # noqa: S302 - our own row, in a store that only its owner can write
    return known if isinstance(known, dict) else {}


class RememberedFiles:
    """What is remembered of each file of the source with the identity *source*; nothing when that is ""."""

    def __init__(self, database: Database, source: str) -> None:
        self._database = database
        self._row, self._later_row = (f"{_FORMAT} {source}", f"later {_FORMAT} {source}") if source else ("", "")
        self._later: dict[str, bytes] = load_row(database, self._later_row) if source else {}
        self._known: dict[str, bytes] = load_row(database, self._row) if source else {}
        self._has_learnt = False
        self._learnt: dict[str, bytes] = {}
        """What was learnt of files of the directory."""
        self._open("")

    def _open(self, directory: str) -> None:
        """Let `_files` be those of *directory*, by name."""
        self._directory, self._files = directory, self._files_of(directory)

    def _files_of(self, directory: str) -> dict[str, bytes]:
        return _load(self._known.get(directory)) | _load(self._later.get(directory))

    def get(self, path: str) -> bytes | None:
        """Return what is remembered of the file at *path*. It is fastest for files of one directory after another."""
        directory, _, name = path.rpartition("/")
        if directory != self._directory:
            self._keep()
            self._open(directory)
        return self._files.get(name)

    def learn(self, path: str, text: bytes) -> None:
        """Remember *text* of the file at *path*."""
        self.get(path)
        name = path.rpartition("/")[2]
        self._files[name] = self._learnt[name] = text

    def _keep(self) -> None:
        """Make one text of what was learnt: a source may have a million files."""
        if self._learnt:
            earlier = _load(self._later.get(self._directory))
            self._later[self._directory] = marshal.dumps(earlier | self._learnt)
            self._learnt = {}
            self._has_learnt = True

    def store(self) -> None:
        """Store what was learnt: in the small row while it is little, else all in one that takes the place of both.

        Nothing is known afterwards.
        """
        self._keep()
        if not self._row or not self._has_learnt:
            return
        if _size(self._later) * _SMALL_PART <= _size(self._known):
            store_row(self._database, self._later_row, self._later)
            return
        for directory in self._later:
            self._known[directory] = self._joined(directory)
        self._later.clear()
        self._database.run("DELETE FROM file_digests WHERE folder = ?", (self._later_row,))
        store_row(self._database, self._row, self._known)

    def _joined(self, directory: str) -> bytes:
        return marshal.dumps(self._files_of(directory)) if directory in self._known else self._later[directory]


def _size(texts: dict[str, bytes]) -> int:
    return sum(map(len, texts.values()))
