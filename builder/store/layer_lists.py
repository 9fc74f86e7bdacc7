"""The layers of a record as text: all of them, or those above a list of layers that other records share.

Each step of a stage has the layers of the one before it and one more. If every record held all of them, a step of a
long Dockerfile would write as much more as there are steps below it. So what is below the last complete *part* of 32
layers stands in the table ``layer_lists``, once for all records. The id of a part is a digest of its text and of the
id below it: a part never changes, and a record means the same layers for ever, whatever becomes of other records.

    [[diff ID, digest, size, media type, created, made], ...]           a record of at most 32 layers
    {"below":"sha256:...","layers":[...]}                              of more: the id of a part, and what is above
"""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

from pybuild.builder.store.database import Database

_PART, _STAGES = 32, 8
_BELOW = '{"below":"'
_ID_LENGTH = len("sha256:") + 64

Row = tuple[str, str, int, str, str, str]
"""The fields of a layer in a record."""

# The recursion follows the parts from those that records name down to the lowest.
_DROP_UNUSED = f"""
    WITH RECURSIVE used(id) AS (
        SELECT substr(layers, {len(_BELOW) + 1}, {_ID_LENGTH}) FROM records WHERE substr(layers, 1, 1) = '{{'
        UNION SELECT below FROM layer_lists JOIN used USING (id))
    DELETE FROM layer_lists WHERE id NOT IN (SELECT id FROM used)"""  # noqa: S608 - numbers of our own
_FORGET_BROKEN = f"""
    DELETE FROM records WHERE substr(layers, 1, 1) = '{{'
        AND substr(layers, {len(_BELOW) + 1}, {_ID_LENGTH}) NOT IN (SELECT id FROM layer_lists)"""  # noqa: S608


class LayerLists:
    """The parts in *database*. Any number of threads may use it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._latest: list[tuple[Sequence[object], str]] = []
        """The layers of the last part of each stage, with those below it, and its id."""

    def put(self, key: str, layers: Sequence[Any], row: Callable[[Any], Row]) -> None:
        """Record *layers*, whose fields *row* returns, under *key*, and write the parts that the record names.

        Both in one transaction, since another process may remove parts that no record names at any moment.
        """
        parts: list[tuple[str, str, str]] = []
        full = (len(layers) - 1) // _PART * _PART
        above = _text(list(map(row, layers[full:])))
        text = f'{_BELOW}{self._below(layers[:full], row, parts)}","layers":{above}}}' if full > 0 else above
        record = "REPLACE INTO records VALUES (?, ?, ?)", (key, text, time.time())
        if parts:
            self._database.run_all("INSERT OR IGNORE INTO layer_lists VALUES (?, ?, ?)", parts, first=record)
        else:
            self._database.run(*record)

    def _below(self, layers: Sequence[Any], row: Callable[[Any], Row], parts: list[tuple[str, str, str]]) -> str:
        """Return the id of the part that ends *layers*, complete parts; those to be written are added to *parts*."""
        latest = [each for each in self._latest if layers[: len(each[0])] == each[0]]
        known, name = nearest = max(latest, key=lambda each: len(each[0]), default=((), ""))
        if name and self._database.one("SELECT 1 FROM layer_lists WHERE id = ?", (name,)) is None:
            # Its records are gone, and it went with them.
            known, name = (), ""
        if len(known) == len(layers):
            return name
        for start in range(len(known), len(layers), _PART):
            text = _text(list(map(row, layers[start : start + _PART])))
            below, name = name, f"sha256:{hashlib.sha256((name + text).encode()).hexdigest()}"
            parts.append((name, below, text))
        self._latest = [(layers, name), *(each for each in self._latest if each is not nearest)][:_STAGES]
        return name

    def joined(self, record: dict[str, Any], known: dict[str, list[list[Any]]] | None = None) -> list[list[Any]] | None:
        """Return the fields of the layers of a record, the lowest first; None when a part is missing.

        Parts in *known* are taken from there, and others are added.
        """
        above: list[list[Any]] = record["layers"]
        name: str = record["below"]
        parts, names = [above], []
        while name and (known is None or name not in known):
            row = self._database.one("SELECT below, layers FROM layer_lists WHERE id = ?", (name,))
            if row is None:
                return None
            names.append(name)
            name = row[0]
            parts.append(json.loads(row[1]))
        rows = list(known[name]) if known is not None and name else []
        for part in reversed(parts[1:]):
            rows += part
            if known is not None:
                known[names.pop()] = list(rows)
        return rows + above

    def drop_unused(self) -> None:
        """Remove the parts that no record names, and records of which a builder wrote the part before this did that."""
        self._database.run(_FORGET_BROKEN)
        self._database.run(_DROP_UNUSED)
        self._latest = []


def _text(rows: Sequence[Row]) -> str:
    return json.dumps(rows, separators=(",", ":"))
