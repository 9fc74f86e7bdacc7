"""The warnings about a Dockerfile that cannot be built."""

import pytest

from pybuild.builder.checks.early_warnings import early_warnings
from pybuild.builder.plan.plan import Definition
from pybuild.builder.request import Planning


def warned(text: str) -> list[tuple[str, int]]:
    return [
        (message.partition(":")[0], line)
        for message, line in early_warnings(Definition("Dockerfile", text), Planning())
    ]


def test_what_stands_before_a_mistake_is_reported_and_what_follows_is_not() -> None:
    text = "FROM a as one\nMAINTAINER me\nCOPY\nFROM b as two\n"
    assert warned(text) == [("FromAsCasing", 1), ("MaintainerDeprecated", 2)]


def test_a_mistake_in_the_stages_does_not_hide_the_warnings_about_the_text() -> None:
    assert ("FromAsCasing", 1) in warned("FROM a as one\nCOPY --from=7 a b\n")


@pytest.mark.parametrize("text", ["FROM a AS one\nCOPY\n", "# check=skip=all\nFROM a as one\nCOPY\n", ""])
def test_without_a_reason_there_is_no_warning(text: str) -> None:
    assert warned(text) == []
