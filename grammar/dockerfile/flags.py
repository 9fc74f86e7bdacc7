r"""Flags: ``--name=value`` between the name of an instruction and its arguments.

Quotes and backslashes are resolved here; the values of most flags are expanded as words later. BuildKit does the same,
so ``--chown='$user'`` is expanded although it is quoted. ``--`` ends the flags.
"""

import re
from collections.abc import Iterable, Mapping
from enum import Enum

from pybuild.grammar.dockerfile.logical_lines import Piece
from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.nodes import Word
from pybuild.grammar.source import Span
from pybuild.grammar.suggest import did_you_mean
from pybuild.runtime.values import positional


class FlagKind(Enum):
    """The kind of value of a flag."""

    TEXT = "text"
    BOOLEAN = "boolean"
    REPEATED = "repeated"


_COPYING = {
    "chown": FlagKind.TEXT,
    "chmod": FlagKind.TEXT,
    "link": FlagKind.BOOLEAN,
    "exclude": FlagKind.REPEATED,
}

FLAGS: Mapping[str, Mapping[str, FlagKind]] = {
    "from": {"platform": FlagKind.TEXT},
    "run": {"mount": FlagKind.REPEATED, "network": FlagKind.TEXT, "security": FlagKind.TEXT},
    "copy": _COPYING | {"from": FlagKind.TEXT, "parents": FlagKind.BOOLEAN},
    "add": _COPYING | {"checksum": FlagKind.TEXT, "keep-git-dir": FlagKind.BOOLEAN, "unpack": FlagKind.BOOLEAN},
    "healthcheck": dict.fromkeys(("interval", "timeout", "start-period", "start-interval", "retries"), FlagKind.TEXT),
}
"""The flags of docker/dockerfile 1.26 (stable); an instruction that is not listed takes none."""

# An escaped character, or a part in single or double quotes. A missing quotation mark is one at the end of the flag.
_RESOLVED = re.compile(r"""\\(.?)|'((?:[^'\\]|\\.)*)(?:'|\\?$)|"((?:[^"\\]|\\.)*)(?:"|\\?$)""")
_ESCAPED = re.compile(r"\\(.)")


@positional
class Flags:
    """The flags of one instruction, checked against the list of those that it takes."""

    values: Mapping[str, tuple[Word, ...]]

    def text(self, name: str) -> Word | None:
        """Return the value of a flag, None when it is missing or empty."""
        values = self.values.get(name, ())
        return values[0] if values and values[0].text else None

    def all(self, name: str) -> tuple[Word, ...]:
        """Return the values of a flag that may be repeated."""
        return self.values.get(name, ())

    def boolean(self, name: str) -> bool | None:
        """Return the value of a switch, None when it is missing."""
        values = self.values.get(name)
        return values[0].text == "true" if values else None


def read_flags(keyword: str, written: Iterable[Piece]) -> Flags:
    """Check the flags *written* for the instruction *keyword* (lower case).

    Raises:
        DockerfileError: a flag is unknown or duplicate, or its value is missing or not a boolean.
    """
    known = FLAGS.get(keyword, {})
    values: dict[str, list[Word]] = {}
    for piece in written:
        name, value = _split(piece)
        kind = known.get(name)
        if kind is None:
            raise DockerfileError(f"unknown flag: --{name}", piece.span, did_you_mean(name, known, "--"))
        if name in values and kind is not FlagKind.REPEATED:
            raise DockerfileError(f"duplicate flag specified: --{name}", piece.span)
        word = _boolean(name, value, piece.span) if kind is FlagKind.BOOLEAN else value
        if word is None:
            raise DockerfileError(f"missing a value on flag: --{name}", piece.span)
        values.setdefault(name, []).append(word)
    return Flags({name: tuple(words) for name, words in values.items()})


def _split(piece: Piece) -> tuple[str, Word | None]:
    resolved = _RESOLVED.sub(_resolve, piece.text)
    name, equals, value = resolved.removeprefix("--").partition("=")
    if not equals:
        return name, None
    _, written = piece.cut("=")
    return name, Word(value, written.span if written else piece.span)


def _resolve(match: re.Match[str]) -> str:
    if match[1] is not None:
        return match[1]
    return _ESCAPED.sub(r"\1", match[2] if match[2] is not None else match[3])


def _boolean(name: str, value: Word | None, span: Span) -> Word | None:
    if value is None:
        return Word("true", span)
    # BuildKit does not use strconv.ParseBool here: it accepts only true and false, in any case.
    if value.text.lower() not in {"true", "false", ""}:
        raise DockerfileError(f"expecting boolean value for flag --{name}, not: {value.text}", value.span)
    return Word(value.text.lower(), value.span) if value.text else None
