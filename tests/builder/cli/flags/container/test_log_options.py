import pytest

from pybuild.builder.cli.flags.container.log_options import log_options
from pybuild.builder.errors import RequestError


def test_options_are_sorted_by_name() -> None:
    assert log_options(("max-size=10k", "max-file=3")) == (("max-file", "3"), ("max-size", "10k"))
    assert log_options(("max-file=2",)) == (("max-file", "2"),)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("max-size=odd", 'failed to initialize logging driver: invalid size: "odd"'),
        ("max-size", 'failed to initialize logging driver: invalid size: ""'),
        ("max-file=0", "max-file cannot be less than 1"),
        ("max-file=x", "max-file cannot be less than 1"),
        ("tag=a", "unknown log opt 'tag' for json-file log driver"),
    ],
)
def test_what_a_log_cannot_have_is_refused(option: str, message: str) -> None:
    with pytest.raises(RequestError) as refused:
        log_options((option,))
    assert refused.value.message == message
