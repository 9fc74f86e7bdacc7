"""``COPY --parents``: which directories are kept above what is selected."""

from pathlib import Path

import pytest

from pybuild.builder.content.selections import select
from pybuild.builder.content.source_tree import SourceTree
from pybuild.builder.errors import BuildError
from pybuild.builder.plan.ops import Pick
from pybuild.grammar.ignorefile import IgnoreFile
from pybuild.runtime.paths.safepath import Root
from tests.helpers.selecting import write


def kept(directory: Path, path: str, exclude: str = "") -> list[list[str]]:
    """The names of each group that ``--parents`` selects by *path*, the directory at the top of each left out."""
    with Root.open_host(directory) as root:
        excluded = IgnoreFile.parse(exclude) if exclude else None
        groups = select(SourceTree(root=root), Pick(path=path, input=1), excluded, parents=True)
        assert {(group.base, group.is_directory, group.items[0].name) for group in groups} <= {("", True, "")}
        return [[item.name for item in group.items[1:]] for group in groups]


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("a/b/f", ["a", "a/b", "a/b/f"]),
        ("a/b", ["a", "a/b", "a/b/f", "a/b/g"]),
        ("./a/b/f", ["a", "a/b", "a/b/f"]),
        ("a/./b/f", ["b", "b/f"]),
        ("a/b/./f", ["f"]),
        ("a/./", ["e", "b", "b/f", "b/g"]),
        ("a/*/f", ["a", "a/b", "a/b/f"]),
        ("**/f", ["f", "a", "a/b", "a/b/f"]),
        ("a/./**/g", ["b", "b/g"]),
        ("a/*.none", []),
    ],
)
def test_directories_above_a_match_are_kept_down_from_the_pivot(directory: Path, path: str, names: list[str]) -> None:
    write(directory, "f", "a/e", "a/b/f", "a/b/g", "c/h")
    assert [sorted(found) for found in kept(directory, path)] == [sorted(names)]


def test_each_directory_that_a_pattern_before_the_pivot_matches_is_a_group(directory: Path) -> None:
    write(directory, "one/x/f", "two/x/f", "two/y", "top")
    assert kept(directory, "*/./x/f") == [["x", "x/f"], ["x", "x/f"]]


def test_a_directory_comes_before_what_is_in_it(directory: Path) -> None:
    write(directory, "a/b/c/f", "a/g")
    [names] = kept(directory, "a")
    assert all(names.index(name.rpartition("/")[0]) < names.index(name) for name in names if "/" in name)


def test_what_exclude_hides_is_not_kept(directory: Path) -> None:
    write(directory, "a/f.md", "a/f.c", "b/g.md")
    assert kept(directory, "a", exclude="**/*.md") == [["a", "a/f.c"]]


@pytest.mark.parametrize("path", ["a/none", "none/./f", "f/./x", "a/./none/x"])
def test_a_path_without_a_pattern_must_exist(directory: Path, path: str) -> None:
    write(directory, "a/f", "f")
    with pytest.raises(BuildError, match="not found in the build context"):
        kept(directory, path)


def test_a_symlink_on_the_way_is_not_followed_and_the_hint_says_where_it_leads(directory: Path) -> None:
    write(directory, "real/f")
    (directory / "alias").symlink_to("real")
    with pytest.raises(BuildError, match='"/alias/f": not found') as caught:
        kept(directory, "alias/f")
    assert caught.value.hint == '"/alias" is a symlink, which --parents does not follow: name "/real/f"'
