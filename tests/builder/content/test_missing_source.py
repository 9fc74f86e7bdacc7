"""Hints at what a source of COPY that does not exist may have been meant to be."""

from pathlib import Path

import pytest

from pybuild.builder.content.missing_source import behind_symlink, explained, missing
from pybuild.builder.content.source_tree import SourceTree
from pybuild.builder.errors import BuildError
from pybuild.grammar.ignorefile import IgnoreFile
from pybuild.runtime.paths.safepath import Root
from tests.helpers.selecting import write


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    write(
        tmp_path,
        "src/main.py",
        "docs/guide.md",
        "a/set.ini",
        "b/set.ini",
        "c/set.ini",
        "d/set.ini",
        "hidden/file",
        "log",
    )
    (tmp_path / "way").symlink_to("docs")
    (tmp_path / "lost").symlink_to("nowhere")
    (tmp_path / "alias").symlink_to("hidden/file")
    (tmp_path / "empty").mkdir()
    return tmp_path


def hint(tree: Path, path: str, *, ignore: str = "", exclude: str = "") -> str:
    with Root.open_host(tree) as root:
        source = SourceTree(root=root, ignore=IgnoreFile.parse(ignore) if ignore else None)
        error = missing(source, path, IgnoreFile.parse(exclude) if exclude else None)
    assert str(error).startswith(f'failed to calculate checksum: "/{path}": not found in ')
    return error.hint


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("src/mian.py", 'did you mean "src/main.py"?'),
        ("scr/main.py", 'did you mean "src/main.py"?'),
        ("home/me/project/src/main.py", 'did you mean "src/main.py"?'),
        ("guide.md", 'did you mean "docs/guide.md"?'),
        ("set.ini", 'did you mean "a/set.ini", "b/set.ini", "c/set.ini" or another one?'),
        ("empty/quite-another", '"/empty" is empty'),
        ("docs/nothing-like-it", '"/docs" contains guide.md'),
        ("lost/file", '"/lost" is a symlink to "/nowhere", which is not there'),
        ("lost", 'it is a symlink to "/nowhere", not there'),
    ],
)
def test_what_was_meant(tree: Path, path: str, expected: str) -> None:
    assert hint(tree, path) == expected


def test_a_file_that_is_ignored_is_named_with_the_line_and_never_suggested(tree: Path) -> None:
    assert 'excluded by line 1 of .dockerignore: "log"' in hint(tree, "log", ignore="log")
    assert "hidden/file" in hint(tree, "hiden/file")
    assert "hidden" not in hint(tree, "hiden/file", ignore="hidden")
    assert "excluded by line" in hint(tree, "alias", ignore="hidden")
    assert hint(tree, "src/main.py", exclude="*.py") == "it exists, but is excluded by --exclude"


def test_dots_at_the_root_are_dropped_and_that_is_said(tree: Path) -> None:
    with Root.open_host(tree) as root:
        source = SourceTree(root=root, ignore=None)
        error = explained(BuildError("not there", hint="first"), source, "../../src")
        assert '".." does not lead out of' in error.hint
        assert error.hint.endswith("so ../../src is looked up as /src; first")
        assert explained(BuildError("not there", hint="first"), source, "src/../x").hint == "first"


def test_a_path_below_a_symlink_is_named_for_parents(tree: Path) -> None:
    with Root.open_host(tree) as root:
        source = SourceTree(root=root, ignore=None)
        error = behind_symlink(source, "way/guide.md")
        assert error is not None
        assert error.hint == '"/way" is a symlink, which --parents does not follow: name "/docs/guide.md"'
        assert behind_symlink(source, "docs/guide.md") is None
        assert behind_symlink(source, "way/nothing") is None
