import pytest

from pybuild.builder.cli.format.filters import by_key, has_label, passing
from pybuild.builder.errors import RequestError

KEYS = ("label", "name", "until")


def test_values_by_key_without_spaces() -> None:
    assert by_key(["name=a", " Name = b ", "label=x=y"], KEYS) == {"name": ["a", "b"], "label": ["x=y"]}


@pytest.mark.parametrize(
    ("text", "reason"), [("name", r"bad format of filter \(expected name=value\)"), ("odd=1", "invalid filter 'odd'")]
)
def test_what_is_no_filter(text: str, reason: str) -> None:
    with pytest.raises(RequestError, match=reason):
        by_key([text], KEYS)


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
