"""The results of ``${name...}`` for each operator."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pybuild.grammar.words.substitution import RESULT_LIMIT, BadWordError, TooMuchError, choose, replaced, stripped

patterns = st.text("ab*?", max_size=6)
values = st.text("ab", max_size=8)


@pytest.mark.parametrize(
    ("value", "kind", "empty_is_unset", "result"),
    [
        ("x", "-", True, "x"),
        ("", "-", True, "w"),
        ("", "-", False, ""),
        (None, "-", False, "w"),
        ("x", "+", True, "w"),
        ("", "+", True, ""),
        ("", "+", False, "w"),
        (None, "+", False, ""),
        ("x", "?", True, "x"),
        ("", "?", False, ""),
    ],
)
def test_a_value_or_the_word(value: str | None, kind: str, empty_is_unset: bool, result: str) -> None:
    assert choose("N", value, kind, "w", empty_is_unset=empty_is_unset) == result


@pytest.mark.parametrize(
    ("value", "word", "message"),
    [
        (None, "", "N: is not allowed to be unset"),
        ("", "", "N: is not allowed to be empty"),
        (None, "give one", "N: give one"),
    ],
)
def test_a_required_value_is_missing(value: str | None, word: str, message: str) -> None:
    with pytest.raises(BadWordError) as caught:
        choose("N", value, "?", word, empty_is_unset=True)
    assert str(caught.value) == message
    assert "--build-arg N=..." in caught.value.hint


@pytest.mark.parametrize(
    ("kind", "word", "result"),
    [("#", "*/", "lib/x.tar.gz"), ("#", "#*/", "x.tar.gz"), ("%", ".*", "usr/lib/x.tar"), ("%", "%.*", "usr/lib/x")],
)
def test_the_shortest_or_the_longest_match_is_stripped(kind: str, word: str, result: str) -> None:
    assert stripped("usr/lib/x.tar.gz", kind, word) == result


def test_the_first_match_or_every_match_is_replaced() -> None:
    assert replaced("a-b-c", "-", "+", every=False) == "a+b-c"
    assert replaced("a-b-c", "-", "+", every=True) == "a+b+c"


@pytest.mark.parametrize("call", [lambda: stripped("x", "#", r"\a"), lambda: replaced("x", r"\a", "y", every=True)])
def test_an_unknown_escape_is_named_with_its_pattern(call: Callable[[], str]) -> None:
    with pytest.raises(BadWordError, match=r"invalid pattern \(\\a\) in substitution") as caught:
        call()
    assert "backslash" in caught.value.hint


def test_a_result_has_a_limit() -> None:
    assert len(replaced("a" * 1024, "a", "b" * 1024, every=True)) == RESULT_LIMIT
    with pytest.raises(TooMuchError, match="larger than 1 MiB"):
        replaced("a" * 1025, "a", "b" * 1024, every=True)


@pytest.mark.parametrize(
    ("value", "pattern", "shortest", "longest"),
    [
        ("a.b.c", "*.", "b.c", "c"),
        ("a.b.c", "a", ".b.c", ".b.c"),
        ("a.b.c", "x*", "a.b.c", "a.b.c"),
        ("a.b.c", "*", "a.b.c", ""),
        ("a*b", "a\\*", "b", "b"),
        ("abc", "??", "c", "c"),
        ("a}b", "a\\}", "b", "b"),
    ],
)
def test_a_prefix_is_stripped(value: str, pattern: str, shortest: str, longest: str) -> None:
    assert stripped(value, "#", pattern) == shortest
    assert stripped(value, "#", f"#{pattern}") == longest


@pytest.mark.parametrize(
    ("value", "pattern", "shortest", "longest"),
    [("a.b.c", ".*", "a.b", "a"), ("a.b.c", "?", "a.b.", "a.b."), ("abab", "ab", "ab", "ab"), ("a*", "\\*", "a", "a")],
)
def test_a_suffix_is_stripped(value: str, pattern: str, shortest: str, longest: str) -> None:
    assert stripped(value, "%", pattern) == shortest
    assert stripped(value, "%", f"%{pattern}") == longest


@pytest.mark.parametrize(
    ("value", "pattern", "first", "every"),
    [
        ("a/b/c", "/", "a-b/c", "a-b-c"),
        ("abcabc", "b*", "a-", "a-"),
        ("abc", "?", "-bc", "---"),
        ("abc", "x", "abc", "abc"),
        ("", "*", "-", "-"),
        ("ab", "", "-ab", "-a-b-"),
    ],
)
def test_a_match_is_replaced(value: str, pattern: str, first: str, every: str) -> None:
    assert replaced(value, pattern, "-", every=False) == first
    assert replaced(value, pattern, "-", every=True) == every


def test_a_replacement_is_taken_literally() -> None:
    assert replaced("ab", "a", "\\1$0", every=True) == "\\1$0b"


@pytest.mark.parametrize("pattern", ["\\a", "\\", "a\\[b"])
def test_other_escapes_are_refused(pattern: str) -> None:
    with pytest.raises(BadWordError, match="invalid escape"):
        stripped("a", "#", pattern)


def test_a_result_that_is_too_long_is_refused_before_it_is_made() -> None:
    for every, value in ((True, "a" * 10**6), (False, "a")):
        with pytest.raises(TooMuchError):
            replaced(value, "a", "b" * (RESULT_LIMIT + 1), every=every)


@settings(max_examples=200)
@given(values, patterns)
def test_stripping_agrees_with_trying_every_length(value: str, pattern: str) -> None:
    regex = re.compile(pattern.replace("*", ".*").replace("?", "."))
    starts = [end for end in range(len(value) + 1) if regex.fullmatch(value[:end])]
    ends = [start for start in range(len(value) + 1) if regex.fullmatch(value[start:])]

    assert stripped(value, "#", pattern) == value[min(starts, default=0) :]
    assert stripped(value, "#", f"#{pattern}") == value[max(starts, default=0) :]
    assert stripped(value, "%", pattern) == value[: max(ends, default=len(value))]
    assert stripped(value, "%", f"%{pattern}") == value[: min(ends, default=len(value))]


@settings(max_examples=200)
@given(values, patterns, st.booleans())
def test_replacing_agrees_with_greedy_regular_expressions(value: str, pattern: str, every: bool) -> None:
    regex = re.compile(pattern.replace("*", ".*").replace("?", "."))
    # Unlike Go, Python also takes the empty match directly behind another match.
    ends: list[int] = []

    def put(match: re.Match[str]) -> str:
        doubled = match.start() == match.end() and match.start() in ends
        ends.append(match.end())
        return "" if doubled else "x"

    assert replaced(value, pattern, "x", every=every) == regex.sub(put, value, count=0 if every else 1)
