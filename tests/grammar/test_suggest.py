import pytest

from pybuild.grammar.suggest import closest, did_you_mean

_NAMES = ("from", "run", "copy", "chown", "chmod")


@pytest.mark.parametrize(
    ("word", "near"),
    [("form", "from"), ("COPPY", "copy"), ("cpy", "copy"), ("chwon", "chown"), ("rum", "run"), ("Run", "run")],
)
def test_closest_is_at_most_two_edits_away(word: str, near: str) -> None:
    assert closest(word, _NAMES) == near


@pytest.mark.parametrize("word", ["healthcheck", "xyz", "", "c" * 100_000])
def test_nothing_is_closest_to_a_word_far_from_all(word: str) -> None:
    assert closest(word, _NAMES) is None


def test_a_word_that_is_known_needs_no_suggestion() -> None:
    assert closest("copy", _NAMES) is None


def test_the_first_of_equally_near_names_wins() -> None:
    assert closest("chm", ("cha", "chb")) == "cha"


def test_hint_names_the_suggestion_with_its_prefix() -> None:
    assert did_you_mean("form", _NAMES, "--") == 'did you mean "--from"?'
    assert did_you_mean("healthcheck", _NAMES) == ""
