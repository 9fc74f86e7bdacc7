"""The functions of templates: those of Go's text/template and those that Docker adds to them.

Values are what JSON has, and these:

`TemplateRow`  a row of a listing: its JSON has sorted members, and ``<``, ``>``, ``&`` escaped as in Docker
`Typed`   an object whose absent members have the values that Go's structures have, which its JSON leaves out
`Loose`   a map whose keys a user has chosen: a missing key is not an error
`Nil`     an empty list, map or pointer, which is ``null`` in JSON
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote_plus

from pybuild.runtime.values import frozen

_VERB = re.compile(r"%([-+ 0#]*\d*(?:\.\d+)?)([a-zA-Z%])")
_IN_JSON = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})
_IN_HTML = str.maketrans({'"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;", "\0": "\ufffd"})
_IN_SCRIPT = str.maketrans(
    {char: f"\\u{ord(char):04X}" for char in (*map(chr, range(32)), "<", ">", "&", "=")}
    | {char: f"\\{char}" for char in ("\\", "'", '"')}
)
"""What text/template.JSEscape replaces; of other characters only those that cannot be printed."""


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
    return text.translate(_IN_JSON) if record else text


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


def _printed(*values: Any) -> str:
    """Return what fmt.Sprint does: a space stands between two values of which neither is a string."""
    text = ""
    for index, value in enumerate(values):
        spaced = index and not isinstance(value, str) and not isinstance(values[index - 1], str)
        text += f" {shown(value)}" if spaced else shown(value)
    return text


def _in_script(*values: Any) -> str:
    text = _printed(*values).translate(_IN_SCRIPT)
    return "".join(char if char.isprintable() or char == "\x7f" else f"\\u{ord(char):04X}" for char in text)


def _slice(value: Any, *bounds: int) -> Any:
    if not all(0 <= bound <= len(value) for bound in bounds) or list(bounds) != sorted(bounds):
        raise LookupError(f"index out of range: {bounds[-1]}")
    return value[slice(*(bounds if len(bounds) > 1 else (*bounds, None)))]


def _title(text: str) -> str:
    return re.sub(r"(?<!\S)\S", lambda found: found.group().upper(), text)


def _pad(text: str, before: int, after: int) -> str:
    return " " * before + text + " " * after if text else text


def _last_true(*values: Any) -> Any:
    return next((value for value in values if not value), values[-1])


def _label(row: Any, name: str) -> str:
    by_name = getattr(row.get("Labels"), "by_name", None) if isinstance(row, TemplateRow) else None
    if by_name is None:
        raise LookupError("only rows with labels have labels by name")
    return str(by_name.get(name, ""))


def _label_title(_titles: Any, name: str) -> str:
    """Return the title of a column of labels: the last part of the name, in words."""
    return name.rpartition(".")[2].replace("-", " ").replace("_", " ")


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    ".Label": _label,
    "json": as_json,
    "join": lambda items, separator: separator.join(map(shown, items or ())),
    "split": lambda text, separator: text.split(separator) if separator else list(text),
    "title": _title,
    "pad": _pad,
    "truncate": lambda text, length: text[:length],
    "lower": lambda text: text.lower(),
    "upper": lambda text: text.upper(),
    "index": _index,
    "slice": _slice,
    "len": lambda value: len(value or ()),
    "println": lambda *values: " ".join(map(shown, values)) + "\n",
    "print": _printed,
    "printf": _printf,
    "html": lambda *values: _printed(*values).translate(_IN_HTML),
    "js": _in_script,
    "urlquery": lambda *values: quote_plus(_printed(*values)),
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
    ".Label": _label_title,
    **dict.fromkeys(("json", "title", "lower", "upper", "truncate", "split", "join"), lambda value, *_: value),
}
"""Those for the titles of a table, which stay as they are."""
