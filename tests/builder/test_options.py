import pytest

from pybuild.builder.errors import RequestError
from pybuild.builder.options import boolean, duration, is_true, record, size_of, whole_number


def test_a_record_is_csv_and_its_keys_are_in_lower_case() -> None:
    assert record('ID=a,"src=b,c"', "-x") == {"id": "a", "src": "b,c"}


@pytest.mark.parametrize("text", ["id", '"id=a', "id=a,src"])
def test_what_is_no_record_is_an_error_that_names_the_flag(text: str) -> None:
    with pytest.raises(RequestError, match="invalid --secret"):
        record(text, "--secret")


def test_a_boolean_is_that_of_go() -> None:
    assert [boolean("k", text, "-x") for text in ("1", "t", "TRUE", "0", "F", "False")] == [True] * 3 + [False] * 3


@pytest.mark.parametrize("text", ["", "yes", "tRUE", "on", "2"])
def test_a_wrong_boolean_is_an_error_that_names_its_key(text: str) -> None:
    with pytest.raises(RequestError) as raised:
        boolean("push", text, "--output")
    assert raised.value.message == f"invalid --output: push={text}"
    assert not is_true(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("007", 7), ("64", 64), ("65", None), ("", None), ("-1", None), ("\u00b2", None), ("\u0661", None)],
)
def test_a_whole_number_is_one_of_ascii_digits_up_to_the_largest(text: str, number: int | None) -> None:
    assert whole_number(text, 64) == number


def test_a_number_of_thousands_of_digits_is_too_large_and_no_error() -> None:
    assert whole_number("1" * 5000) is None
    assert whole_number("0" * 5000 + "1") == 1


def test_a_size_and_a_duration_are_those_of_docker() -> None:
    assert [size_of("--x", text) for text in ("2k", "1g", None)] == [2048, 1 << 30, None]
    assert [duration("--x", text) for text in ("90s", "1h30m")] == [90, 5400]
    for read, text, message in (
        (size_of, "much", "invalid --x: "),
        (duration, "soon", "--x: "),
        (duration, "-1h", "--x: a duration cannot be negative"),
    ):
        with pytest.raises(RequestError, match=message):
            read("--x", text)
