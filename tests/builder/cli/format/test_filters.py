import pytest

from pybuild.builder.cli.failures import Described
from pybuild.builder.cli.format.filters import by_key, has_label, passing
from pybuild.builder.errors import RequestError

KEYS = ("label", "name", "until")


def test_values_by_key_without_spaces() -> None:
    assert by_key(["name=a", " Name = b ", "label=x=y"], KEYS) == {"name": ["a", "b"], "label": ["x=y"]}


def test_what_is_no_filter_is_a_wrong_flag() -> None:
    with pytest.raises(Described, match=r"bad format of filter \(expected name=value\)") as caught:
        by_key(["name"], KEYS)
    assert caught.value.failure.exit_code == 125
    with pytest.raises(RequestError, match="invalid filter 'odd'"):
        by_key(["odd=1"], KEYS)
    with pytest.raises(RequestError, match="invalid filter ''"):
        by_key(["=x"], KEYS)


def test_an_empty_filter_is_none() -> None:
    assert by_key(["", "name=a"], KEYS) == {"name": ["a"]}


@pytest.mark.parametrize(
    ("given", "passes"),
    [
        ([], True),
        (["name=a", "name=x"], True),
        (["name=x"], False),
        (["name=a", "label=x"], False),
        (["label=a", "label=b"], True),
        (["label=a", "label=x"], False),
        (["until=a", "until=x"], False),
    ],
)
def test_one_value_must_fit_and_every_label_and_time(given: list[str], *, passes: bool) -> None:
    assert passing(by_key(given, KEYS), lambda _key, value: lambda item: value in item)("ab") is passes


def test_labels_by_name_or_by_value() -> None:
    labels = (("a", "1"), ("b", ""))
    assert all(has_label(labels, wanted) for wanted in ("a", "a=1", "b", "b="))
    assert not any(has_label(labels, wanted) for wanted in ("c", "a=", "a=2", "b=1", ""))
