"""Hints name each instruction, and the escape character of the file."""

import pytest

from pybuild.grammar import hints
from pybuild.grammar.dockerfile.syntax import KEYWORDS


def test_every_instruction_has_a_form_that_begins_with_its_name() -> None:
    assert {keyword.lower() for keyword in KEYWORDS} == hints.FORMS.keys()
    assert all(form.startswith(keyword.upper()) for keyword, form in hints.FORMS.items())


@pytest.mark.parametrize("escape", ["\\", "`"])
def test_hints_use_the_escape_character_of_the_file(escape: str) -> None:
    assert f"{escape}$" in hints.brace(escape)
    assert f'{escape}"' in hints.quote_mark('"', escape)
    assert escape not in hints.quote_mark("'", escape)
