"""Names of steps: instructions with the values of their variables."""

import pytest

from pybuild.grammar.words.display import shown

_SCOPE = {"A": "one", "EMPTY": "", "SPACED": "b c"}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("COPY x /", "COPY x /"),
        ("COPY $A /", "COPY one /"),
        ("COPY ${A}x $EMPTY/", "COPY onex /"),
        ("RUN echo $HOME ${HOME}", "RUN echo $HOME ${HOME}"),
        ("COPY ${HOME:-value} ${A:+set}", "COPY value set"),
        ("COPY '$A' \"$A\"", "COPY '$A' \"one\""),
        ("COPY $SPACED /", "COPY b c /"),
    ],
)
def test_known_variables_are_replaced_and_quotes_stay(text: str, result: str) -> None:
    assert shown(text, _SCOPE) == result


@pytest.mark.parametrize("text", ["RUN echo ${A", "RUN ${A?}${B?gone}", 'RUN "$A'])
def test_a_malformed_text_is_returned_unchanged(text: str) -> None:
    assert shown(text, _SCOPE) == text


def test_the_escape_character_is_that_of_the_dockerfile() -> None:
    assert shown(r"COPY \$A $A", _SCOPE) == "COPY $A one"
    assert shown("COPY `$A $A", _SCOPE, escape="`") == "COPY $A one"
    assert shown(r"COPY C:\x $A", _SCOPE, escape="`") == r"COPY C:\x one"
