import pytest

from pybuild.builder.plan.ops import Copy, Git, Http, Pick, Scratch
from pybuild.builder.sources.tree import literal, pick_of, tree_vertices
from pybuild.grammar.patterns import has_wildcard, match

HTTP = Http(digest="d", name="f")
GIT = Git(commit="c")


@pytest.mark.parametrize("name", ["a", "a*b", "[x]", "q?", "back\\slash", "a\\*"])
def test_a_name_becomes_a_pattern_that_matches_it_alone(name):
    pattern = literal(name)
    assert match(pattern, name) if has_wildcard(pattern) else pattern == name
    assert not has_wildcard(pattern) or not match(pattern, name + "x")


def test_a_file_is_picked_by_its_name_and_a_tree_as_a_whole():
    assert pick_of(HTTP, 2, unpack=True) == Pick(path="f", input=2, unpack=True)
    assert pick_of(GIT, 1) == Pick(path="/", input=1)


def test_a_tree_of_a_file_is_what_it_unpacks_to():
    scratch, source, tree = tree_vertices(HTTP, "name", (1, 2))
    assert (scratch.op, source.op, source.name, source.lines) == (Scratch(), HTTP, "name", (1, 2))
    assert tree.op == Copy(sources=(Pick(path="f", input=1, unpack=True),), destination="/")
    assert tree.inputs == (0, 1)


def test_a_repository_is_a_tree_itself():
    (only,) = tree_vertices(GIT, "name")
    assert only.op == GIT
