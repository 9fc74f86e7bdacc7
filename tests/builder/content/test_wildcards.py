"""Patterns in the sources of COPY."""

import pytest

from pybuild.builder.errors import BuildError
from tests.helpers.selecting import picked, write


@pytest.mark.parametrize(
    ("pattern", "bases"),
    [
        ("*.txt", ["a.txt", "b.txt"]),
        ("?.txt", ["a.txt", "b.txt"]),
        ("[a].txt", ["a.txt"]),
        ("[^a].txt", ["b.txt"]),
        ("d*/*.txt", ["c.txt", "d.txt"]),
        ("*/c.txt", ["c.txt"]),
        ("d1/*", ["c.txt", "deep"]),
        ("*.md", []),
        ("a.txt/*", []),
    ],
)
def test_a_pattern_matches_each_element_on_its_own_in_byte_order(directory, pattern, bases):
    write(directory, "b.txt", "a.txt", "d1/c.txt", "d2/d.txt", "d1/deep/x.txt")
    assert [base for base, _, _ in picked(directory, pattern)] == bases


def test_a_directory_that_a_pattern_matches_gives_its_content(directory):
    write(directory, "d1/x", "d2/y")
    assert picked(directory, "d*") == [("d1", True, ["", "x"]), ("d2", True, ["", "y"])]


@pytest.mark.parametrize("pattern", ["a[b", "nothing*/[", "[]x*"])
def test_a_malformed_pattern_is_refused_even_where_nothing_would_be_tried(directory, pattern):
    with pytest.raises(BuildError, match="syntax error in pattern"):
        picked(directory, pattern)
