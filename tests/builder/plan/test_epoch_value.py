import pytest

from pybuild.builder.plan.epoch_value import seconds_of


def test_seconds_are_a_number() -> None:
    assert seconds_of("1700000000") == 1700000000


@pytest.mark.parametrize("text", ["", "-1", "1.5", "context", "9" * 20, "٣"])
def test_what_is_no_number_may_be_a_name(text: str) -> None:
    assert seconds_of(text) is None
