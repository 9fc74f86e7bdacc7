"""The functions of templates: those of Go's text/template and those that Docker adds to them.

Values are what JSON has, and these:

`TemplateRow`  a row of a listing: its JSON has sorted members, and ``<``, ``>``, ``&`` escaped as in Docker
`Typed`   an object whose absent members have the values that Go's structures have, which its JSON leaves out
`Loose`   a map whose keys a user has chosen: a missing key is not an error
`Nil`     an empty list, map or pointer, which is ``null`` in JSON
"""

import html
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote_plus

from pybuild.runtime.values import frozen

_VERB = re.compile(r"%([-+ 0#]*\d*(?:\.\d+)?)([a-zA-Z%])")
_HTML = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


class TemplateRow(dict[str, Any]):
    """A row of a listing."""


class Loose(dict[str, Any]):
    """A map with keys of the user."""


class Typed(dict[str, Any]):
    """An object with values for members that it does not have, or has as null."""

    def __init__(self, members: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
        super().__init__(members)
        self.defaults = defaults


@frozen
class Nil:
    """Nothing, of a type: *text* is how Go prints it."""

    text: str

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Iterator[Any]:
        return iter(())


NO_LIST, NO_MAP, NO_POINTER, NO_VALUE = Nil(text="[]"), Nil(text="map[]"), Nil(text="<nil>"), Nil(text="<no value>")


def shown(value: Any) -> str:
    """Return *value* as Go prints it."""
    match value:
        case None:
            return NO_VALUE.text
        case Nil():
            return value.text
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


def as_json(value: Any) -> str:
    """Return *value* as JSON of one line."""
    record = isinstance(value, TemplateRow)
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=record, default=lambda _nothing: None)
    return text.translate(_HTML) if record else text


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        # A map gives the zero value of a text for what it does not have.
        value = "" if value is None or isinstance(value, Nil) else _at(value, key)
    return value


def _at(value: Any, key: Any) -> Any:
    if isinstance(value, Mapping):
        return value.get(key, "")
    if isinstance(key, int) and not 0 <= key < len(value):
        raise LookupError(f"index out of range: {key}")
    return value[key]


def _printf(form: str, *values: Any) -> str:
    rest = iter(values)
    return _VERB.sub(lambda found: _verb(found.group(1), found.group(2), rest), form)


def _verb(flags: str, verb: str, values: Iterator[Any]) -> str:
    if verb == "%":
        return "%"
    try:
        value = next(values)
    except StopIteration:
        return f"%!{verb}(MISSING)"
    if verb in "sv":
        return f"%{flags}s" % shown(value)
    if verb == "q":
        return f"%{flags}s" % json.dumps(shown(value), ensure_ascii=False)
    if verb == "t":
        return shown(value)
    return str(f"%{flags}{verb}" % value)


def _title(text: str) -> str:
    return re.sub(r"(?<!\S)\S", lambda found: found.group().upper(), text)


def _pad(text: str, before: int, after: int) -> str:
    return " " * before + text + " " * after if text else text


def _last_true(*values: Any) -> Any:
    return next((value for value in values if not value), values[-1])


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "json": as_json,
    "join": lambda items, separator: separator.join(map(shown, items or ())),
    "split": lambda text, separator: text.split(separator),
    "title": _title,
    "pad": _pad,
    "truncate": lambda text, length: text[:length],
    "lower": lambda text: text.lower(),
    "upper": lambda text: text.upper(),
    "index": _index,
    "slice": lambda value, *bounds: value[slice(*(bounds if len(bounds) > 1 else (*bounds, None)))],
    "len": lambda value: len(value or ()),
    "println": lambda *values: " ".join(map(shown, values)) + "\n",
    "print": lambda *values: "".join(map(shown, values)),
    "printf": _printf,
    "html": lambda *values: html.escape("".join(map(shown, values))),
    "js": lambda *values: json.dumps("".join(map(shown, values)))[1:-1],
    "urlquery": lambda *values: quote_plus("".join(map(shown, values))),
    "eq": lambda value, *others: value in others,
    "ne": lambda value, other: value != other,
    "lt": lambda value, other: value < other,
    "le": lambda value, other: value <= other,
    "gt": lambda value, other: value > other,
    "ge": lambda value, other: value >= other,
    "not": lambda value: not value,
    "and": _last_true,
    "or": lambda *values: next((value for value in values if value), values[-1]),
}

HEADER_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    **FUNCTIONS,
    **dict.fromkeys(("json", "title", "lower", "upper", "truncate", "split", "join"), lambda value, *_: value),
}
"""Those for the titles of a table, which stay as they are."""
