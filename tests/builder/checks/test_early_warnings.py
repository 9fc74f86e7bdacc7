"""The warnings about a Dockerfile that cannot be built."""

import pytest

from pybuild.builder.checks.early_warnings import early_warnings
from pybuild.builder.plan.plan import Definition
from pybuild.builder.request import Planning
from pybuild.grammar.source import Span


def warned(text: str, mistake: str = "") -> list[tuple[str, int]]:
    place = Span(text.index(mistake), text.index(mistake) + len(mistake)) if mistake else None
    return [
        (message.partition(":")[0], line)
        for message, line in early_warnings(Definition("Dockerfile", text), Planning(), place)
    ]


def test_what_stands_before_a_mistake_is_reported_and_what_follows_is_not() -> None:
    text = "FROM a as one\nMAINTAINER me\nCOPY\nFROM b as two\n"
    assert warned(text) == [("FromAsCasing", 1), ("MaintainerDeprecated", 2)]


def test_a_mistake_in_the_stages_does_not_hide_the_warnings_about_the_text() -> None:
    assert ("FromAsCasing", 1) in warned("FROM a as one\nCOPY --from=7 a b\n")


def test_instructions_up_to_a_mistake_are_looked_at_and_those_of_unneeded_stages_are_not() -> None:
    text = "FROM a AS one\nENV x y\nFROM b\nENV z $v\nEXPOSE 99999\nENV v w\n"
    assert warned(text, "99999") == [("LegacyKeyValueFormat", 4)]
    assert warned(text) == []


@pytest.mark.parametrize("text", ["FROM a AS one\nCOPY\n", "# check=skip=all\nFROM a as one\nCOPY\n", ""])
def test_without_a_reason_there_is_no_warning(text: str) -> None:
    assert warned(text) == []
