"""The results of ``${name...}`` for each operator."""

from collections.abc import Callable

import pytest

from pybuild.grammar.words.substitution import RESULT_LIMIT, BadWordError, TooMuchError, choose, replaced, stripped


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
