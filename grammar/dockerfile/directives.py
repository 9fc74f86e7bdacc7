"""Parser directives: comments ``# key=value`` at the top of a file.

Keys are ``syntax``, ``escape`` and ``check``, in any case, each at most once. The first line that is anything else (a
blank line, another comment, an instruction) ends them. After a ``#!`` line Docker still looks for ``syntax`` and
``check``, but not for ``escape``. Files in other languages may set ``syntax`` in their own notation: as
``// syntax=value``, or as a member of a JSON object.
"""

import json
import re
from collections.abc import Sequence

from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.nodes import Directive
from pybuild.grammar.parse_go import SPACE
from pybuild.grammar.source import Span
from pybuild.runtime.values import positional

_FORM = re.compile(r"#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(\S.*)")
_SLASHES = re.compile(r"//\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(\S.*)")
_KEYS = ("syntax", "escape", "check")
_ESCAPES = ("\\", "`")


@positional
class Opening:
    """The directives of a file and the number of rows that they take."""

    directives: tuple[Directive, ...] = ()
    rows: int = 0

    @property
    def escape(self) -> str | None:
        """The escape character of the file."""
        return next((found.value for found in self.directives if found.key == "escape"), None)


def read_directives(rows: Sequence[str], offset: int) -> Opening:
    """Read the directives at the top of *rows*, the first of which begins at *offset* of the source.

    Raises:
        DockerfileError: a key is repeated, or the escape is neither a backslash nor a backtick.
    """
    if (foreign := _foreign_syntax(rows, offset)) is not None:
        return Opening((foreign,))
    found: list[Directive] = []
    shebang = bool(rows) and rows[0].startswith("#!")
    for count, row in enumerate(rows):
        directive = match_directive(row, offset)
        offset += len(row) + 1
        if directive is None and not (shebang and count == 0):
            return Opening(tuple(found), count)
        if directive and not (shebang and directive.key == "escape"):
            _check(directive, found)
            found.append(directive)
    return Opening(tuple(found), len(rows))


def _foreign_syntax(rows: Sequence[str], offset: int) -> Directive | None:
    """Return the syntax that a file sets in another notation; its span is the first row."""
    skip = 1 if rows and rows[0].startswith("#!") else 0
    start = offset + sum(len(row) + 1 for row in rows[:skip])
    first = rows[skip] if len(rows) > skip else ""
    value = _in_slashes(rows[skip:]) if first.startswith("//") else None
    if first.lstrip(SPACE).startswith("{"):
        value = _in_json("\n".join(rows[skip:]))
    if value is None:
        return None
    return Directive(key="syntax", value=value, span=Span(start, start + max(1, len(first.rstrip()))))


def _in_slashes(rows: Sequence[str]) -> str | None:
    for row in rows:
        match = _SLASHES.fullmatch(row.rstrip(SPACE))
        if match is None or match[1].lower() not in _KEYS:
            return None
        if match[1].lower() == "syntax":
            return match[2]
    return None


def _in_json(text: str) -> str | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    syntax = value.get("syntax") if isinstance(value, dict) else None
    return syntax if isinstance(syntax, str) else None


def match_directive(row: str, offset: int) -> Directive | None:
    """Return *row* as a directive, wherever it is; None when it is not one."""
    text = row.strip(SPACE)
    match = _FORM.fullmatch(text)
    if match is None or match[1].lower() not in _KEYS:
        return None
    start = offset + row.index("#")
    return Directive(key=match[1].lower(), value=match[2], span=Span(start, start + len(text)))


def _check(directive: Directive, earlier: Sequence[Directive]) -> None:
    if any(directive.key == other.key for other in earlier):
        raise DockerfileError(f"only one {directive.key} parser directive can be used", directive.span, "remove it")
    if directive.key == "escape" and directive.value not in _ESCAPES:
        message = f"invalid escape token '{directive.value}' does not match ` or \\"
        raise DockerfileError(message, directive.span, "write # escape=` or # escape=\\")
