"""One line of an ignore file: what it matches name by name, and what it may still reach below a directory."""

import pytest

from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.ignorerule import IgnoreRule, read_rule
from pybuild.grammar.source import Span

SPAN = Span(0, 1)


def matches(rule: IgnoreRule, path: str) -> bool:
    """Descend to *path* as a walk does, and return whether the rule matches it."""
    if rule.whole is not None:
        return rule.whole(path)
    *directories, name = path.split("/")
    passed = rule.start
    for directory in directories:
        passed = rule.below(passed, directory)
    last = rule.last(passed)
    return last is not None and last(name)


@pytest.mark.parametrize(
    ("line", "matched", "others"),
    [
        ("a", ("a",), ("a/b", "b", "x/a", "aa")),
        ("a/b", ("a/b",), ("a", "b", "a/b/c", "x/a/b")),
        ("*", ("a", ".a"), ("a/b",)),
        ("*/b", ("a/b",), ("b", "a/c/b")),
        ("a?c", ("abc", "aéc"), ("ac", "a/c", "abbc")),
        ("**/a", ("a", "x/a", "x/y/a"), ("xa", "a/x")),
        ("**/a/b", ("a/b", "x/a/b", "a/a/b"), ("a/x/b", "b")),
        ("a/**", ("a/b", "a/b/c"), ("b/a", "ab")),
        ("a/**/b", ("a/b", "a/x/b", "a/x/y/b"), ("b", "a/bx")),
        ("**/a/**/b", ("a/b", "x/a/y/b"), ("a", "b/a")),
        ("**", ("a", "a/b"), ()),
        ("a**b", ("ab", "a/b", "ax/b"), ("a", "b", "ax/yb")),
        ("**b", ("b", "xb", "x/yb"), ("bx",)),
        ("[ab]c", ("ac", "bc"), ("cc", "c")),
        ("[^a]c", ("bc",), ("ac", "b/c")),
        (r"\*", ("*",), ("a",)),
    ],
)
def test_a_pattern_matches_name_by_name(line: str, matched: tuple[str, ...], others: tuple[str, ...]) -> None:
    rule = read_rule(line, SPAN)
    assert [path for path in (*matched, *others) if matches(rule, path)] == list(matched)


@pytest.mark.parametrize(
    ("line", "text"),
    [("./a/", "a"), ("/a", "a"), ("a//b", "a/b"), ("a/../b", "b"), ("a/./b", "a/b"), ("//a", "a")],
)
def test_a_pattern_is_cleaned_like_a_path(line: str, text: str) -> None:
    assert matches(read_rule(line, SPAN), text)
    assert read_rule(line, SPAN).text == line


@pytest.mark.parametrize("line", ["!a", "! a", "!/a", "/!a", "./!a"])
def test_an_exclamation_mark_selects_again(line: str) -> None:
    rule = read_rule(line, SPAN)
    assert rule.negated
    assert matches(rule, "a")


def test_in_a_flag_a_mark_behind_a_slash_is_part_of_the_name() -> None:
    rule = read_rule("/!a", None)
    assert not rule.negated
    assert matches(rule, "!a")


@pytest.mark.parametrize("line", ["!", "!/", "! "])
def test_a_mark_without_a_pattern_is_an_error(line: str) -> None:
    with pytest.raises(DockerfileError, match="illegal exclusion pattern") as caught:
        read_rule(line, SPAN)
    assert caught.value.span == SPAN


@pytest.mark.parametrize("line", ["[a", "a/[", "[]a", "a\\"])
def test_a_malformed_pattern_is_an_error_at_its_line(line: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        read_rule(line, SPAN)
    assert caught.value.span == SPAN


@pytest.mark.parametrize(
    ("line", "reached", "others"),
    [
        ("a/b/c", ("a", "a/b", "a/b/c"), ("a/b/c/d", "b", "ab", "a/c")),
        ("a/*/c", ("a", "a/x", "a/x/y"), ("b", "ab")),
        ("**/c", ("a", "a/b"), ()),
        ("ab*", ("ab", "abc"), ("x", "a")),
    ],
)
def test_what_a_pattern_may_reach_below_a_directory(
    line: str, reached: tuple[str, ...], others: tuple[str, ...]
) -> None:
    rule = read_rule(line, SPAN)
    assert [path for path in (*reached, *others) if rule.could_reach(path)] == list(reached)
