r"""The two ways to write arguments: a JSON array of strings (exec form) or plain text (shell form).

As in Docker, text that looks like an array but is not valid JSON is plain text: ``RUN [ -f x ] && y``,
``CMD ["a", 'b']``.
"""

import json
import re

from pybuild.grammar.dockerfile.logical_lines import Piece
from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.nodes import CommandLine, ExecForm, ShellForm

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_LONE_SURROGATES = re.compile("[\ud800-\udfff]")


def command(piece: Piece, *, exec_form: bool) -> CommandLine:
    """Return the command in *piece*; *exec_form*: the grammar recognised it as an array of strings."""
    if exec_form:
        return ExecForm(tuple(element.text for element in elements(piece)))
    reject_other_arrays(piece)
    return ShellForm(piece.text)


def elements(array: Piece) -> tuple[Piece, ...]:
    """Return the strings of a JSON array, each with the span of its literal.

    Raises:
        DockerfileError: one of them has a NUL, which is not permitted in a Dockerfile, even escaped.
    """
    # The literals give the spans. Both have one length, since the grammar has checked that there are strings only.
    literals = _STRING.finditer(array.text)
    values = json.loads(array.text)
    found = tuple(
        Piece(_clean(value), array.start + literal.start(), array.line, len(literal[0]))
        for value, literal in zip(values, literals, strict=True)
    )
    for piece in found:
        if "\0" in piece.text:
            raise DockerfileError("invalid character NUL", piece.span)
    return found


def is_array(text: str) -> bool:
    """Return whether the whole of *text* is a JSON array, of anything."""
    return text.startswith("[") and _array(text) is not None


def is_exec_form(text: str) -> bool:
    """Return whether the whole of *text* is a JSON array of strings."""
    array = _array(text) if text.startswith("[") else None
    return array is not None and all(isinstance(value, str) for value in array)


def reject_other_arrays(piece: Piece) -> None:
    """Refuse a valid JSON array with other items than strings.

    Raises:
        DockerfileError: it is such an array. Docker also refuses it instead of running it as text.
    """
    if piece.text.startswith("[") and _array(piece.text) is not None:
        message = "when using JSON array syntax, arrays must be comprised of strings only"
        raise DockerfileError(message, piece.span)


def _array(text: str) -> list[object] | None:
    # parse_constant is for NaN and Infinity, which Python reads, and which are no JSON.
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, list) else None


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _clean(text: str) -> str:
    r"""Replace halves of surrogate pairs, which no file name or argument can contain, as Go does."""
    return _LONE_SURROGATES.sub("\ufffd", text)
