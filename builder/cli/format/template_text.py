"""Parsing a template into its parts: texts, actions and blocks."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pybuild.builder.cli.format.template_functions import FUNCTIONS

_ACTION = re.compile(r'\{\{(-\s)?((?:"(?:[^"\\]|\\.)*"|`[^`]*`|.)*?)(\s-)?\}\}', re.DOTALL)
_TOKEN = re.compile(
    r"""\s*(
    "(?:[^"\\]|\\.)*" | `[^`]*` | -?\d+(?:\.\d+)?    # literals
    | \)(?:\.\w+)* | \( | \| | := | = | ,            # a value in parentheses may be followed by fields
    | \$?(?:\w+)?(?:\.\w+)+ | \$\w* | \. | \w+       # variables, fields, functions
    )""",
    re.VERBOSE,
)
_BLOCKS = frozenset({"range", "if", "with"})
_KEYWORDS = _BLOCKS | {"end", "else", "true", "false", "nil", "break", "continue"}


class TemplateError(ValueError):
    """A template is invalid, or asks for something that does not exist."""


@dataclass(frozen=True, slots=True)
class Action:
    """The text between braces."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """``range``, ``if`` or ``with``: its condition, its body, and its ``else``."""

    kind: str
    words: tuple[str, ...]
    body: tuple["Part", ...]
    otherwise: tuple["Part", ...]


Part = str | Action | Block


def parse(text: str) -> tuple[Part, ...]:
    """Return the parts of *text*. Raises TemplateError."""
    parts = _split(text)
    done, end = _parse(parts, 0, ())
    if end != len(parts):
        raise TemplateError("template: unexpected {{end}} or {{else}}")
    return done


def _split(text: str) -> list[str | Action]:
    """Return texts and actions in turn, without the white space that trim markers remove."""
    parts: list[str | Action] = []
    position, trim = 0, False
    for found in _ACTION.finditer(text):
        before = text[position : found.start()]
        before = before.lstrip() if trim else before
        parts.append(before.rstrip() if found.group(1) else before)
        inner = found.group(2).strip()
        if not inner.startswith("/*"):
            parts.append(Action(tuple(_tokens(inner))))
        position, trim = found.end(), bool(found.group(3))
    rest = text[position:]
    if "{{" in rest:
        raise TemplateError("template: unclosed action")
    return [*parts, rest.lstrip() if trim else rest]


def _tokens(text: str) -> list[str]:
    words, position = [], 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise TemplateError(f"template: unexpected {text[position : position + 10]!r}")
        word = found.group(1)
        if word.isidentifier() and word not in FUNCTIONS and word not in _KEYWORDS:
            raise TemplateError(f'template: function "{word}" not defined')
        words.append(word)
        position = found.end()
    return words


def _parse(parts: Sequence[str | Action], at: int, until: tuple[str, ...]) -> tuple[tuple[Part, ...], int]:
    done: list[Part] = []
    while at < len(parts):
        part = parts[at]
        word = part.words[0] if isinstance(part, Action) and part.words else ""
        if word in {"end", "else"}:
            if word not in until:
                break
            return tuple(done), at
        at += 1
        if isinstance(part, Action) and word in _BLOCKS:
            block, at = _parse_block(parts, at, part)
            done.append(block)
        else:
            done.append(part)
    if until:
        raise TemplateError("template: missing {{end}}")
    return tuple(done), at


def _parse_block(parts: Sequence[str | Action], at: int, head: Action) -> tuple[Block, int]:
    body, at = _parse(parts, at, ("end", "else"))
    otherwise: tuple[Part, ...] = ()
    turn = parts[at]
    at += 1
    if isinstance(turn, Action) and turn.words[0] == "else":
        if turn.words[1:2] in {("if",), ("with",)}:
            inner, at = _parse_block(parts, at, Action(turn.words[1:]))
            return Block(head.words[0], head.words[1:], body, (inner,)), at
        otherwise, at = _parse(parts, at, ("end",))
        at += 1
    return Block(head.words[0], head.words[1:], body, otherwise), at
