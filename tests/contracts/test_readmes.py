"""Each directory of the code has a README of at most a page, which says what is not there; what it names is there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.structure import REPOSITORY, ROOTS

PAGE, WORDS = 80, 960
"""The lines of a page, and its words without those of tables, which are looked up and not read."""
DIRECTORIES = sorted({path.parent for root in ROOTS for path in (REPOSITORY / root).rglob("*.py")})
PAGES = [directory / "README.md" for directory in DIRECTORIES]
PAGES += [REPOSITORY / "README.md", REPOSITORY / "tests" / "README.md"]
PAGES += [page for page in [REPOSITORY / "CONTRIBUTING.md"] if page.exists()]

_LINK = re.compile(r"\]\(([^)#]+)\)")
_CODE = re.compile(r"`([^`\s]+)`")
_FILE = re.compile(r"[\w./-]+\.(?:py|lark|toml|md|sh)")
_DIRECTORY = re.compile(r"(?:builder|runtime|grammar|tests|testdata)(?:/[\w-]+)+/?")
_MODULE = re.compile(r"(?:pybuild\.)?((?:builder|runtime|grammar|tests)(?:\.\w+)+)")
_OF_USERS = {"config.toml", "pybuild.toml", "expect.toml"}
"""Files that belong to a user, or to each case of a kind."""


def _missing(page: Path, text: str) -> Iterator[str]:
    for target in _LINK.findall(text):
        if ":" not in target and not (page.parent / target).exists():
            yield target
    for name in _CODE.findall(text):
        if (_FILE.fullmatch(name) and name not in _OF_USERS) or _DIRECTORY.fullmatch(name):
            if not any((place / name).exists() for place in (page.parent, REPOSITORY)):
                yield name
        elif (module := _MODULE.fullmatch(name)) and not _is_there(module[1]):
            yield name


def _is_there(name: str) -> bool:
    """Return whether *name* is a module, or a name that its module's text has."""
    path = REPOSITORY.joinpath(*name.split("."))
    if path.is_dir() or path.with_suffix(".py").exists():
        return True
    module, last = path.parent.with_suffix(".py"), path.name
    return module.exists() and re.search(rf"\b{last}\b", module.read_text()) is not None


@pytest.mark.parametrize("directory", DIRECTORIES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_each_directory_has_a_page(directory: Path) -> None:
    lines = (directory / "README.md").read_text().splitlines()
    assert lines[0].startswith("# ")
    assert len(lines) <= PAGE
    assert max(map(len, lines)) <= 240
    assert sum(len(line.split()) for line in lines if not line.startswith("|")) <= WORDS
    assert any("Not here" in line for line in lines)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_what_a_page_names_is_there(page: Path) -> None:
    assert list(_missing(page, page.read_text())) == []


@pytest.mark.parametrize(
    "text",
    [
        "[x](gone.md)",
        "`gone.py`",
        "`builder/gone.py`",
        "`builder/gone/`",
        "`builder.gone`",
        "`builder.build.gone_name`",
    ],
)
def test_what_is_gone_is_noticed(text: str) -> None:
    assert len(list(_missing(REPOSITORY / "builder" / "README.md", text))) == 1
