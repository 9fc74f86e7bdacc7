"""The part of Go's text/template that people use with ``--format``.

Fields (``.Config.Env``), ``json``, ``join``, ``split``, ``index``, ``len``, ``lower``, ``upper``, ``println``, ``eq``,
``ne``, ``not``, ``and``, ``or``, pipes, parentheses, ``range``, ``if``, ``else``, ``end``, trim markers and comments.
Values are what JSON has; they are printed as Go prints them: ``[a b]``, ``map[k:v]``, ``true``, ``<no value>``.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_ACTION = re.compile(r"\{\{(-\s)?(.*?)(\s-)?\}\}", re.DOTALL)
_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|`[^`]*`|-?\d+|\$?\.?[\w.]*\w|\.|\$|[|()])')
_NAME = re.compile(r"\$?((?:\.\w+)*)\.?\Z")


class TemplateError(ValueError):
    """A template cannot be read, or asks for what is not there."""


@dataclass(frozen=True, slots=True)
class _Action:
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Block:
    """``range`` or ``if``: what it asks, what stands inside, what stands behind ``else``."""

    kind: str
    words: tuple[str, ...]
    body: tuple["_Part", ...]
    otherwise: tuple["_Part", ...]


_Part = str | _Action | _Block


class Template:
    """A template that is known to be well formed. Raises TemplateError."""

    def __init__(self, text: str) -> None:
        parts = _split(text)
        self._parts, end = _parse(parts, 0, ())
        if end != len(parts):
            raise TemplateError("template: unexpected {{end}} or {{else}}")

    def render(self, value: Any) -> str:
        """Return the text for *value*. Raises TemplateError."""
        return _render(self._parts, value, value)


def _split(text: str) -> list[str | _Action]:
    """Return texts and actions in turn; trim markers have eaten the white space beside them."""
    parts: list[str | _Action] = []
    position, trim = 0, False
    for found in _ACTION.finditer(text):
        before = text[position : found.start()]
        before = before.lstrip() if trim else before
        parts.append(before.rstrip() if found.group(1) else before)
        inner = found.group(2).strip()
        if not inner.startswith("/*"):
            parts.append(_Action(tuple(_tokens(inner))))
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
        words.append(found.group(1))
        position = found.end()
    return words


def _parse(parts: Sequence[str | _Action], at: int, until: tuple[str, ...]) -> tuple[tuple[_Part, ...], int]:
    done: list[_Part] = []
    while at < len(parts):
        part = parts[at]
        word = part.words[0] if isinstance(part, _Action) and part.words else ""
        if word in {"end", "else"}:
            if word not in until:
                break
            return tuple(done), at
        at += 1
        if isinstance(part, _Action) and word in {"range", "if", "with"}:
            block, at = _parse_block(parts, at, part)
            done.append(block)
        else:
            done.append(part)
    if until:
        raise TemplateError("template: missing {{end}}")
    return tuple(done), at


def _parse_block(parts: Sequence[str | _Action], at: int, head: _Action) -> tuple[_Block, int]:
    body, at = _parse(parts, at, ("end", "else"))
    otherwise: tuple[_Part, ...] = ()
    turn = parts[at]
    at += 1
    if isinstance(turn, _Action) and turn.words[0] == "else":
        if turn.words[1:2] == ("if",):
            inner, at = _parse_block(parts, at, _Action(turn.words[1:]))
            return _Block(head.words[0], head.words[1:], body, (inner,)), at
        otherwise, at = _parse(parts, at, ("end",))
        at += 1
    return _Block(head.words[0], head.words[1:], body, otherwise), at


def _render(parts: Sequence[_Part], dot: Any, root: Any) -> str:
    out = []
    for part in parts:
        match part:
            case str():
                out.append(part)
            case _Action():
                out.append(shown(_pipeline(part.words, dot, root)))
            case _Block():
                out.append(_render_block(part, dot, root))
    return "".join(out)


def _render_block(block: _Block, dot: Any, root: Any) -> str:
    value = _pipeline(block.words, dot, root)
    if not value:
        return _render(block.otherwise, dot, root)
    if block.kind == "if":
        return _render(block.body, dot, root)
    if block.kind == "with":
        return _render(block.body, value, root)
    items = [value[key] for key in sorted(value)] if isinstance(value, Mapping) else value
    return "".join(_render(block.body, item, root) for item in items)


def _pipeline(words: Sequence[str], dot: Any, root: Any) -> Any:
    """Evaluate commands joined by ``|``: the value of each is the last argument of the next."""
    commands: list[list[str]] = [[]]
    depth = 0
    for word in words:
        depth += (word == "(") - (word == ")")
        if word == "|" and depth == 0:
            commands.append([])
        else:
            commands[-1].append(word)
    value: tuple[Any, ...] = ()
    for command in commands:
        value = (_command(command, dot, root, value),)
    return value[0]


def _command(words: Sequence[str], dot: Any, root: Any, piped: tuple[Any, ...]) -> Any:
    if not words:
        raise TemplateError("template: missing value for command")
    if words[0] in _FUNCTIONS:
        arguments = (*_operands(words[1:], dot, root), *piped)
        try:
            return _FUNCTIONS[words[0]](*arguments)
        except (TypeError, LookupError, AttributeError) as error:
            raise TemplateError(f"template: {words[0]}: wrong arguments") from error
    operands = _operands(words, dot, root)
    if len(operands) != 1 or piped:
        raise TemplateError(f"template: {words[0]!r} is not a function")
    return operands[0]


def _operands(words: Sequence[str], dot: Any, root: Any) -> list[Any]:
    values, at = [], 0
    while at < len(words):
        if words[at] == "(":
            end = _closing(words, at)
            values.append(_pipeline(words[at + 1 : end], dot, root))
            at = end
        else:
            values.append(_operand(words[at], dot, root))
        at += 1
    return values


def _closing(words: Sequence[str], at: int) -> int:
    depth = 0
    for place in range(at, len(words)):
        depth += (words[place] == "(") - (words[place] == ")")
        if depth == 0:
            return place
    raise TemplateError("template: unclosed left parenthesis")


def _operand(word: str, dot: Any, root: Any) -> Any:
    if word.startswith('"'):
        return json.loads(word)
    if word.startswith("`"):
        return word[1:-1]
    if word in {"true", "false"}:
        return word == "true"
    if word.lstrip("-").isdigit():
        return int(word)
    found = _NAME.match(word)
    if found is None or not word.startswith((".", "$")):
        raise TemplateError(f"template: function {word!r} not defined")
    value = root if word.startswith("$") else dot
    for name in found.group(1).split(".")[1:]:
        value = _field(value, name)
    return value


def _field(value: Any, name: str) -> Any:
    if value is None:
        return None
    if not isinstance(value, Mapping) or name not in value:
        known = ", ".join(sorted(value)[:40]) if isinstance(value, Mapping) else "nothing"
        raise TemplateError(f"template: no field {name!r}: there is {known or 'nothing'}")
    return value[name]


def shown(value: Any) -> str:
    """Return *value* as Go prints it."""
    match value:
        case None:
            return "<no value>"
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case Mapping():
            return "map[" + " ".join(f"{key}:{shown(value[key])}" for key in sorted(value)) + "]"
        case list() | tuple():
            return "[" + " ".join(map(shown, value)) + "]"
        case _:
            return str(value)


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else value[key]
    return value


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "json": lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False),
    "join": lambda items, separator: separator.join(map(shown, items or ())),
    "split": lambda text, separator: text.split(separator),
    "index": _index,
    "len": lambda value: len(value or ()),
    "lower": lambda text: text.lower(),
    "upper": lambda text: text.upper(),
    "println": lambda *values: " ".join(map(shown, values)) + "\n",
    "print": lambda *values: "".join(map(shown, values)),
    "eq": lambda value, *others: value in others,
    "ne": lambda value, other: value != other,
    "not": lambda value: not value,
    "and": lambda *values: next((value for value in values if not value), values[-1]),
    "or": lambda *values: next((value for value in values if value), values[-1]),
}
