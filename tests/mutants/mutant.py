"""The list of defences: values read from the files in ``data``.

A file there is a series of tables:

    [[mutant]]
    id = "keyring-join"                     unique; a word about the defence
    rows = ["A18"]                          rows of SECURITY.md that it belongs to
    file = "runtime/sandbox/inside/process.py"
    old = "_leave_keyring()"                stands exactly once in the file
    new = "pass"
    test = "runtime/test_x.py::test_y"      below tests/; must pass as it is and fail after the edit
    says = "text"                           a pattern in the failure, where that is no assertion of the test
    limit = 60                              seconds that the test may take
    also = [{ file = "", old = "", new = "" }]   further edits, for a defence that stands in several places
    each = ["mount", "bpf"]                 makes one mutant of each word, which replaces {each} in the texts
"""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DATA = Path(__file__).with_name("data")
LIMIT = 60
_KEYS = {"id", "rows", "file", "old", "new", "test", "says", "limit", "also", "each"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Replaces the text *old*, which stands once in *file*."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One defence, the edits that take it out, and the test that must notice."""

    id: str
    area: str
    """The name of the file that it is listed in."""
    rows: tuple[str, ...]
    edits: tuple[Edit, ...]
    test: str
    says: str
    limit: int


def load(directory: Path = DATA) -> tuple[Mutant, ...]:
    """Return all mutants of the files in *directory*, in the order of their names."""
    found = [mutant for path in sorted(directory.glob("*.toml")) for mutant in _read(path)]
    known: set[str] = set()
    for mutant in found:
        if mutant.id in known:
            raise ValueError(f"two mutants are called {mutant.id}")
        known.add(mutant.id)
    return tuple(found)


def _read(path: Path) -> Iterator[Mutant]:
    for table in tomllib.loads(path.read_text(encoding="utf-8")).get("mutant", []):
        unknown = set(table) - _KEYS
        if unknown:
            raise ValueError(f"{path.name}: unknown keys {sorted(unknown)}")
        for word in table.get("each", [""]):
            yield _mutant(path.stem, table, word)


def _mutant(area: str, table: dict[str, Any], word: str) -> Mutant:
    def text(key: str, fields: dict[str, Any] = table) -> str:
        return str(fields.get(key, "")).replace("{each}", word)

    edits = [Edit(**{key: text(key, fields) for key in ("file", "old", "new")}) for fields in [table, *_also(table)]]
    return Mutant(
        id=text("id"),
        area=area,
        rows=tuple(table.get("rows", ())),
        edits=tuple(edits),
        test=text("test"),
        says=text("says"),
        limit=table.get("limit", LIMIT),
    )


def _also(table: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"file": table["file"], **fields} for fields in table.get("also", [])]
