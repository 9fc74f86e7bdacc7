import pytest

from pybuild.grammar.dockerfile.forms import command, elements, is_exec_form, reject_other_arrays
from pybuild.grammar.dockerfile.logical_lines import Line, Piece
from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.nodes import ExecForm, ShellForm
from pybuild.grammar.source import Span


def _piece(text: str) -> Piece:
    return Piece(text, 0, Line(text=text, span=Span(0, len(text)), marks=((0, 0),)))


@pytest.mark.parametrize("text", ['["a"]', "[]", '[ "a" , "b" ]', '["\\u00e9\\n"]'])
def test_array_of_strings_is_exec_form(text: str) -> None:
    assert is_exec_form(text)


@pytest.mark.parametrize(
    "text", ['["a"] b', "['a']", '["a",]', '["a\\x"]', "[a]", '"a"', "", "[1]", "[NaN]", "[" * 9999]
)
def test_anything_else_is_not(text: str) -> None:
    assert not is_exec_form(text)


def test_elements_keep_the_place_of_their_literals() -> None:
    found = elements(_piece('["a\\u0062", "c"]'))

    assert [(piece.text, piece.span) for piece in found] == [("ab", Span(1, 10)), ("c", Span(12, 15))]


@pytest.mark.parametrize("text", ["[1]", '["a", null]', "[[]]", "[{}]", '["a", 1e400]'])
def test_array_of_other_things_is_refused(text: str) -> None:
    with pytest.raises(DockerfileError, match="arrays must be comprised of strings only"):
        reject_other_arrays(_piece(text))


@pytest.mark.parametrize("text", ["[ -f x ]", "[NaN]", "[" * 100_000, "[1] x", '{"a": 1}', "[" + "9" * 5000 + "]"])
def test_text_that_is_no_json_is_shell_form(text: str) -> None:
    assert command(_piece(text), exec_form=False) == ShellForm(text)


def test_what_no_argument_can_hold_is_replaced() -> None:
    assert command(_piece('["\\ud800x\\ud83d\\udc33"]'), exec_form=True) == ExecForm(("\ufffdx🐳",))


def test_a_nul_is_refused_where_it_is_spelled_as_an_escape_too() -> None:
    with pytest.raises(DockerfileError, match="invalid character NUL") as caught:
        elements(_piece('["a", "b\\u0000"]'))
    assert caught.value.span == Span(6, 15)
