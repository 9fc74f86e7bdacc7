import pytest

from pybuild.builder.errors import RequestError
from pybuild.builder.signals import signal_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("TERM", 15),
        ("SIGTERM", 15),
        ("sigkill", 9),
        ("9", 9),
        ("64", 64),
        ("RTMIN", 34),
        ("RTMIN+3", 37),
        ("SIGRTMAX-1", 63),
    ],
)
def test_signals_have_names_and_numbers(text: str, number: int) -> None:
    assert signal_number(text) == number


@pytest.mark.parametrize(
    "text", ["", "0", "65", "-9", "NOPE", "RTMIN+99", "RTMINx", "SIG", "1" * 5000], ids=lambda text: text[:9]
)
def test_others_are_refused(text: str) -> None:
    with pytest.raises(RequestError, match="invalid signal"):
        signal_number(text)
