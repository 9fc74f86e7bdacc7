import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pybuild.grammar.patterns import BadPattern, CharClass, Wild, has_wildcard, match, name_matcher, parse_pattern


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("", "", True),
        ("abc", "abc", True),
        ("abc", "abcd", False),
        ("*", "", True),
        ("*", "abc", True),
        ("*", "a/b", False),
        ("*c", "abc", True),
        ("a*c*e", "abcde", True),
        ("a*c*e", "abcd", False),
        ("a*/b", "ax/b", True),
        ("a*/b", "a/x/b", False),
        ("*/*", "a/b", True),
        ("a**c", "abbc", True),
        ("?", "é", True),
        ("?", "/", False),
        ("?", "", False),
        ("[a-c]x", "bx", True),
        ("[a-c]x", "dx", False),
        ("[^a-c]x", "dx", True),
        ("[abx-z]", "y", True),
        ("[α-ω]", "λ", True),
        ("[\\]]", "]", True),
        ("[\\-a]", "-", True),
        ("\\*", "*", True),
        ("\\*", "a", False),
        ("a\\b", "ab", True),
        ("]", "]", True),
        ("{a,b}", "{a,b}", True),
    ],
)
def test_pattern_matches_as_in_go(pattern: str, name: str, matches: bool) -> None:
    assert match(pattern, name) is matches


@pytest.mark.parametrize("pattern", ["[", "[]a]", "[a", "[^", "[-]", "[a-", "[a-]", "[a-b-c]", "a\\", "[\\", "*["])
def test_malformed_pattern_is_refused_whatever_the_name(pattern: str) -> None:
    with pytest.raises(BadPattern, match="syntax error in pattern"):
        match(pattern, "zzz")


def test_many_stars_cost_no_more_than_one() -> None:
    assert not match("*a" * 200 + "b", "a" * 5000)
    assert match("*a" * 200, "a" * 5000)


@pytest.mark.parametrize(
    ("text", "wild"),
    [
        ("a", False),
        ("a*", True),
        ("?", True),
        ("[a]", True),
        ("a\\*", False),
        ("\\\\*", True),
        ("a\\", False),
        ("", False),
    ],
)
def test_escaped_wildcard_is_none(text: str, wild: bool) -> None:
    assert has_wildcard(text) is wild


@settings(max_examples=300)
@given(st.text("ab*?/[]^-\\", max_size=8), st.text("ab/-]", max_size=8))
def test_matching_agrees_with_trying_everything(pattern: str, name: str) -> None:
    try:
        tokens = parse_pattern(pattern)
    except BadPattern:
        return
    assert match(pattern, name) is _try(tokens, name)


@settings(max_examples=400)
@given(st.text("ab*?[]^-\\", max_size=10), st.text("ab-]", max_size=8))
def test_a_name_is_matched_as_any_text_without_a_slash(pattern: str, name: str) -> None:
    try:
        tokens = parse_pattern(pattern)
    except BadPattern:
        return
    assert name_matcher(tokens)(name) is match(pattern, name)


def _try(tokens: tuple[object, ...], name: str) -> bool:
    if not tokens:
        return not name
    first, rest = tokens[0], tokens[1:]
    if first is Wild.STAR:
        return _try(rest, name) or (bool(name) and name[0] != "/" and _try(tokens, name[1:]))
    if not name:
        return False
    if first is Wild.ANY:
        fits = name[0] != "/"
    else:
        fits = first.accepts(name[0]) if isinstance(first, CharClass) else first == name[0]
    return fits and _try(rest, name[1:])
