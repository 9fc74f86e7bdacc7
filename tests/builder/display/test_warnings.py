"""The block of warnings at the end of a build, and warnings as documents."""

from base64 import b64decode

from pybuild.builder.display.warnings import document, summary
from pybuild.builder.progress import Warned
from pybuild.grammar.lint.rules import FROM_AS_CASING


def test_no_warning_makes_no_block() -> None:
    assert summary([]) == ""


def test_each_warning_is_listed_once_in_the_order_of_the_dockerfile() -> None:
    found = [Warned(message="second", line=7), Warned(message="first", line=2), Warned(message="second", line=7)]
    assert summary(found) == "\n 2 warnings found:\n - first (line 2)\n - second (line 7)\n"


def test_a_warning_without_a_place_comes_first_and_has_no_line() -> None:
    found = [Warned(message="placed", line=1), Warned(message="other")]
    assert summary(found).splitlines()[2:] == [" - other", " - placed (line 1)"]


def test_one_warning_is_in_the_singular_and_cannot_control_a_terminal() -> None:
    assert summary([Warned(message="red \x1b[31m\nnext", line=1)]).splitlines()[1] == " 1 warning found:"
    assert "\x1b" not in summary([Warned(message="red \x1b[31m", line=1)])


def test_the_document_of_a_check_says_what_it_is_about() -> None:
    found = document(Warned(message="FromAsCasing: 'as' does not match", line=2))
    assert b64decode(found["short"]) == b"FromAsCasing: 'as' does not match (line 2)"
    assert [b64decode(text).decode() for text in found["detail"]] == [FROM_AS_CASING.description]
    assert found["url"] == FROM_AS_CASING.url
    assert found["range"] == [{"start": {"line": 2}, "end": {"line": 2}}]


def test_the_document_of_another_warning_has_its_text_only() -> None:
    found = document(Warned(message="no cache is written: why"))
    assert found == {"level": 1, "short": found["short"]}
    assert b64decode(found["short"]) == b"no cache is written: why"
