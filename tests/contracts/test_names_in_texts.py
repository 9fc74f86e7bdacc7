"""What docstrings and comments of the code name in backticks is there: a module, a file, or a name of the code."""

import ast
import builtins
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.structure import REPOSITORY, ROOTS

_NAME = re.compile(r"(?<!`)`([A-Za-z_][\w.]*)`(?!`)")
_OF_USERS = {"none", "bridge"}
"""Names of Docker's networks, which users write."""


def _identifiers(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        for field in ("name", "id", "attr", "arg", "asname"):
            if isinstance(value := getattr(node, field, None), str):
                yield value


SOURCES = sorted(path for root in ROOTS for path in (REPOSITORY / root).rglob("*.py"))
TEXTS = {path: path.read_text() for path in SOURCES}
IDENTIFIERS = {path: frozenset(_identifiers(ast.parse(text))) for path, text in TEXTS.items()}
EVERY = frozenset().union(*IDENTIFIERS.values())


def _missing(text: str) -> list[str]:
    return [name for name in _NAME.findall(text) if name not in _OF_USERS and not _is_there(name)]


def _is_there(name: str) -> bool:
    first, *others = name.removeprefix("pybuild.").split(".")
    if first in sys.stdlib_module_names or hasattr(builtins, first) or name in {"pybuild", *EVERY}:
        return True
    if _modules((first, *others)):
        return True
    if not others:
        return False
    # A name in a module, or a member of a class that some module has.
    places = _modules((first, *others[:-1])) or _with_class((first, *others)[-2])
    return any(others[-1] in IDENTIFIERS[path] for path in places)


def _modules(parts: tuple[str, ...]) -> list[Path]:
    """Return the modules and packages whose names end with *parts*; the last part may be the suffix of a file."""
    end = parts[:-1] if parts[-1] == "py" else parts
    names = {
        path: (*path.parent.parts, path.stem) if path.stem != "__init__" else path.parent.parts for path in SOURCES
    }
    return [path for path, name in names.items() if name[-len(end) :] == end]


def _with_class(name: str) -> list[Path]:
    return [path for path in SOURCES if f"class {name}" in TEXTS[path]]


@pytest.mark.parametrize("root", ROOTS)
def test_what_a_text_names_is_there(root: str) -> None:
    found = {path: _missing(text) for path, text in TEXTS.items() if path.is_relative_to(REPOSITORY / root)}
    assert {path.relative_to(REPOSITORY).as_posix(): names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    "name", ["vanished", "store.gone", "store.store.gone", "Store.gone", "gone.py", "builder.gone.Store"]
)
def test_what_is_gone_is_noticed(name: str) -> None:
    assert _missing(f"see `{name}` there") == [name]


@pytest.mark.parametrize("name", ["Store", "open_store", "store.open_store", "builder.store.store.Store", "store.py"])
def test_what_is_there_is_found(name: str) -> None:
    assert _missing(f"see `{name}` there") == []
