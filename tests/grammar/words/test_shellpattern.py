import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pybuild.grammar.words.shellpattern import replace, strip_prefix, strip_suffix

_LIMIT = 1000

patterns = st.text("ab*?", max_size=6)
values = st.text("ab", max_size=8)


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
def test_prefix_is_stripped(value: str, pattern: str, shortest: str, longest: str) -> None:
    assert strip_prefix(value, pattern, longest=False) == shortest
    assert strip_prefix(value, pattern, longest=True) == longest


@pytest.mark.parametrize(
    ("value", "pattern", "shortest", "longest"),
    [("a.b.c", ".*", "a.b", "a"), ("a.b.c", "?", "a.b.", "a.b."), ("abab", "ab", "ab", "ab"), ("a*", "\\*", "a", "a")],
)
def test_suffix_is_stripped(value: str, pattern: str, shortest: str, longest: str) -> None:
    assert strip_suffix(value, pattern, longest=False) == shortest
    assert strip_suffix(value, pattern, longest=True) == longest


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
def test_match_is_replaced(value: str, pattern: str, first: str, every: str) -> None:
    assert replace(value, pattern, "-", every=False, limit=_LIMIT) == first
    assert replace(value, pattern, "-", every=True, limit=_LIMIT) == every


def test_replacement_is_taken_literally() -> None:
    assert replace("ab", "a", "\\1$0", every=True, limit=_LIMIT) == "\\1$0b"


@pytest.mark.parametrize("pattern", ["\\a", "\\", "a\\[b"])
def test_other_escapes_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="invalid escape"):
        strip_prefix("a", pattern, longest=False)


def test_too_long_result_is_refused_before_it_is_made() -> None:
    for every, value in ((True, "a" * 10**6), (False, "a")):
        with pytest.raises(OverflowError):
            replace(value, "a", "b" * 2000, every=every, limit=_LIMIT)


@settings(max_examples=200)
@given(values, patterns)
def test_stripping_agrees_with_trying_every_length(value: str, pattern: str) -> None:
    regex = re.compile(pattern.replace("*", ".*").replace("?", "."))
    starts = [end for end in range(len(value) + 1) if regex.fullmatch(value[:end])]
    ends = [start for start in range(len(value) + 1) if regex.fullmatch(value[start:])]

    assert strip_prefix(value, pattern, longest=False) == value[min(starts, default=0) :]
    assert strip_prefix(value, pattern, longest=True) == value[max(starts, default=0) :]
    assert strip_suffix(value, pattern, longest=False) == value[: max(ends, default=len(value))]
    assert strip_suffix(value, pattern, longest=True) == value[: min(ends, default=len(value))]


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

    assert replace(value, pattern, "x", every=every, limit=_LIMIT) == regex.sub(put, value, count=0 if every else 1)
