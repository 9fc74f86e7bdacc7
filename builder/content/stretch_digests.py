"""Digests of stretches, remembered by the digest of their listing: one for sixty files, in a row for each source."""

import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from pybuild.builder.content.file_digests import TICK_NS, FileDigests
from pybuild.builder.content.remembered_files import load_row, store_row
from pybuild.builder.content.selection_digest import Stretch, stretch_content
from pybuild.builder.content.source_tree import Item, SourceTree
from pybuild.builder.store.database import Database

_FORMAT = f"1 {sys.version_info.major}.{sys.version_info.minor}"
_MOST = 1 << 14
"""So many digests of one source are kept in any case, a megabyte: those of a million files, or of earlier states."""


class StretchDigests:
    """Digests of the stretches of one source; a context manager that stores new ones at its end.

    *files* computes the digests of files in stretches that are not known.
    """

    def __init__(self, source: SourceTree, database: Database, files: FileDigests) -> None:
        self._source, self._database, self._files = source, database, files
        self._row = f"stretches {_FORMAT} {source.id}"
        self._known: dict[bytes, bytes] = load_row(database, self._row) if source.id else {}
        self._asked: dict[bytes, bytes] = {}
        self._has_learnt = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is None and self._has_learnt:
            # The ones that were not asked for come first, and are forgotten first.
            others = [(key, known) for key, known in self._known.items() if key not in self._asked]
            kept = [*others, *self._asked.items()]
            store_row(self._database, self._row, dict(kept[-max(_MOST, len(self._asked)) :]))

    def knows(self, stretch: Stretch) -> bool:
        """Return whether no file of the stretch needs to be looked at."""
        return stretch.listing in self._known

    def __call__(self, items: Sequence[Item], stretch: Stretch) -> bytes:
        """Return the digest of the content of a stretch of *items*."""
        content = self._known.get(stretch.listing)
        if content is None:
            content = stretch_content(self._source, items, stretch, self._files)
            latest_ns = self._files.began_ns - TICK_NS
            chosen = items[stretch.start : stretch.end]
            if not stretch.listing or any(item.stat.st_ctime_ns >= latest_ns for item in chosen):
                return content
            self._has_learnt = True
        self._asked[stretch.listing] = content
        return content
