"""The part of Go's text/template that people use with ``--format``.

Fields (``.Config.Env``), variables (``$name := ...``, ``range $key, $value := ...``), the functions of
`builder.cli.format.template_functions`, pipes, parentheses, ``range``, ``if``, ``with``, ``else``, ``break``,
``continue``, trim markers and comments. What is printed looks as in Go: ``[a b]``, ``map[k:v]``, ``<no value>``.
"""

import json
import re
from collections import ChainMap
from collections.abc import Mapping, Sequence
from typing import Any

from pybuild.builder.cli.format.template_functions import (
    FUNCTIONS,
    HEADER_FUNCTIONS,
    NO_POINTER,
    NO_VALUE,
    Loose,
    Nil,
    Typed,
    shown,
)
from pybuild.builder.cli.format.template_text import Action, Block, Part, TemplateError, parse

# Python converts at most 4300 digits to an int.
_NUMBER = re.compile(r"-?(?:[0-9]{1,300}|[0-9]+\.[0-9]*|\.[0-9]+)")
_LITERALS: Mapping[str, Any] = {"true": True, "false": False, "nil": NO_POINTER}


class Template:
    """A parsed template. Raises TemplateError."""

    def __init__(self, text: str) -> None:
        self._parts = parse(text)

    def render(self, value: Any) -> str:
        """Return the text for *value*. Raises TemplateError."""
        return self._render(_Run, value)

    def render_titles(self, titles: Mapping[str, str]) -> str:
        """Return the line of titles of a table, on which functions have no effect."""
        return self._render(_Titles, titles)

    def _render(self, kind: "type[_Run]", value: Any) -> str:
        run = kind()
        try:
            run.render(self._parts, value, ChainMap({"$": value}))
        except _Jump as jump:
            raise TemplateError(f"template: {{{{{jump}}}}} outside {{{{range}}}}") from jump
        return "".join(run.out)


class _Jump(Exception):
    """``break`` or ``continue``."""


_Scope = ChainMap[str, Any]


class _Run:
    """One rendering: what was written so far in *out*."""

    functions = FUNCTIONS

    def __init__(self) -> None:
        self.out: list[str] = []

    def render(self, parts: Sequence[Part], dot: Any, scope: _Scope) -> None:
        for part in parts:
            match part:
                case str():
                    self.out.append(part)
                case Action():
                    self._act(part.words, dot, scope)
                case Block():
                    self._block(part, dot, scope.new_child())

    def _act(self, words: Sequence[str], dot: Any, scope: _Scope) -> None:
        if words[:1] in {("break",), ("continue",)}:
            raise _Jump(words[0])
        names, operator, rest = _split_assignment(words)
        value = self._pipeline(rest, dot, scope)
        if not names:
            self.out.append(shown(value))
        elif operator == ":=":
            scope[names[0]] = value
        else:
            next(part for part in scope.maps if names[0] in part or part is scope.maps[-1])[names[0]] = value

    def _block(self, block: Block, dot: Any, scope: _Scope) -> None:
        names, _, words = _split_assignment(block.words)
        value = self._pipeline(words, dot, scope)
        if block.kind == "range":
            self._range(block, names, (value, dot), scope)
            return
        if names:
            scope[names[0]] = value
        inner = value if block.kind == "with" and value else dot
        self.render(block.body if value else block.otherwise, inner, scope)

    def _range(self, block: Block, names: Sequence[str], values: tuple[Any, Any], scope: _Scope) -> None:
        pairs = _pairs(values[0])
        if not pairs:
            self.render(block.otherwise, values[1], scope)
        for pair in pairs:
            inner = scope.new_child()
            inner.update(zip(names, pair if len(names) > 1 else pair[1:], strict=False))
            try:
                self.render(block.body, pair[1], inner)
            except _Jump as jump:
                if str(jump) == "break":
                    break

    def _pipeline(self, words: Sequence[str], dot: Any, scope: _Scope) -> Any:
        """Evaluate commands joined by ``|``: the value of each is the last argument of the next."""
        commands: list[list[str]] = [[]]
        depth = 0
        for word in words:
            depth += (word == "(") - word.startswith(")")
            if word == "|" and depth == 0:
                commands.append([])
            else:
                commands[-1].append(word)
        value: tuple[Any, ...] = ()
        for command in commands:
            value = (self._command(command, dot, scope, value),)
        return value[0]

    def _command(self, words: Sequence[str], dot: Any, scope: _Scope, piped: tuple[Any, ...]) -> Any:
        if not words:
            raise TemplateError("template: missing value for command")
        if words[0] in self.functions:
            method = (dot,) if words[0] == ".Label" else ()
            arguments = (*method, *self._operands(words[1:], dot, scope), *piped)
            try:
                return self.functions[words[0]](*arguments)
            except (TypeError, LookupError, AttributeError, ValueError) as error:
                reason = error if type(error) is LookupError else "wrong arguments"
                raise TemplateError(f"template: error calling {words[0]}: {reason}") from error
        operands = self._operands(words, dot, scope)
        if len(operands) != 1 or piped:
            raise TemplateError(f"template: {words[0]!r} is not a function")
        return operands[0]

    def _operands(self, words: Sequence[str], dot: Any, scope: _Scope) -> list[Any]:
        values, at = [], 0
        while at < len(words):
            if words[at] == "(":
                end = _closing(words, at)
                value = self._pipeline(words[at + 1 : end], dot, scope)
                values.append(_fields(value, words[end][1:]))
                at = end
            elif words[at] in self.functions:
                values.append(self._command([words[at]], dot, scope, ()))
            else:
                values.append(_operand(words[at], dot, scope))
            at += 1
        return values


class _Titles(_Run):
    functions = HEADER_FUNCTIONS


def _split_assignment(words: Sequence[str]) -> tuple[Sequence[str], str, Sequence[str]]:
    """Split ``$a, $b := value``: the names, the operator, the rest."""
    at = next((index for index, word in enumerate(words) if word in {":=", "="}), None)
    if at is None:
        return (), "", words
    names = [word for word in words[:at] if word != ","]
    if not names or len(names) > 2 or not all(name.startswith("$") for name in names):
        raise TemplateError(f"template: unexpected {words[at]!r}")
    return names, words[at], words[at + 1 :]


def _pairs(value: Any) -> list[tuple[Any, Any]]:
    match value:
        case Mapping():
            return [(key, value[key]) for key in sorted(value)]
        case list() | tuple() | Nil():
            return list(enumerate(value))
        case None:
            return []
        case int():
            return [(item, item) for item in range(value)]
        case _:
            raise TemplateError(f"template: range can't iterate over {shown(value)}")


def _closing(words: Sequence[str], at: int) -> int:
    depth = 0
    for index in range(at, len(words)):
        depth += (words[index] == "(") - words[index].startswith(")")
        if depth == 0:
            return index
    raise TemplateError("template: unclosed left parenthesis")


def _operand(word: str, dot: Any, scope: _Scope) -> Any:
    if word.startswith('"'):
        return _quoted(word)
    if word.startswith("`"):
        return word[1:-1]
    if word in _LITERALS:
        return _LITERALS[word]
    if _NUMBER.fullmatch(word):
        return float(word) if "." in word else int(word)
    name, dotted, rest = word.partition(".")
    if name.startswith("$"):
        if name not in scope:
            raise TemplateError(f'template: undefined variable "{name}"')
        return _fields(scope[name], dotted + rest)
    if name or not dotted:
        raise TemplateError(f"template: unexpected {word!r}")
    return _fields(dot, word)


def _quoted(word: str) -> Any:
    try:
        return json.loads(word)
    except ValueError as error:
        raise TemplateError(f"template: invalid syntax in {word}") from error


def _fields(value: Any, names: str) -> Any:
    """Return what ``.A.B`` says in *value*; ``.`` and nothing at all are *value* itself."""
    for name in filter(None, names.split(".")):
        value = _field(value, name)
    return value


def _field(value: Any, name: str) -> Any:
    if value is None or isinstance(value, Nil):
        return NO_VALUE
    if isinstance(value, Typed) and value.get(name) is None and name in value.defaults:
        return value.defaults[name]
    if isinstance(value, Loose) and name not in value:
        return NO_VALUE
    if not isinstance(value, Mapping) or name not in value:
        known = ", ".join(sorted(value)[:40]) if isinstance(value, Mapping) else "nothing"
        raise TemplateError(f"template: no field {name!r}: available: {known or 'none'}")
    return value[name]
