"""JSON documents: untrusted bytes in, members by their path, canonical bytes out.

Reading refuses what parsers could understand in different ways: repeated keys, NaN, text that is not UTF-8. Errors name
the path of a member, such as ``manifest.layers[3].size``. ``null`` and an absent member mean the same, as in Go;
unknown members are ignored. Writing gives the bytes that Go's ``json.Marshal`` gives for the same document, so an image
that Docker would have built has the same digest here.
"""

import json
import re
from collections.abc import Mapping
from typing import TypeVar

from pybuild.builder.oci.errors import InvalidImage
from pybuild.runtime.values import positional

DOCUMENT_LIMIT = 4 * 1024 * 1024
"""The largest manifest that a registry must accept (distribution-spec, "Pushing Manifests")."""

_DEPTH = 500
"""Objects and arrays within each other. Python's own limit counts callers, too, and differs between versions."""
_STRUCTURE = r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]'

# What Go escapes beyond the rules of JSON, so that a document can be pasted into HTML; and lone surrogates, which it
# replaces, as they have no UTF-8 form.
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_ESCAPED = "[<>&\u2028\u2029\ud800-\udfff]"

_T = TypeVar("_T")
_TYPE_NAMES = {str: "string", int: "int", bool: "bool", list: "list", dict: "object"}


class _AmbiguousError(ValueError):
    """The document means different things to different parsers."""


def encode(document: object) -> bytes:
    """Return *document* without spaces, keys in the order of the dict, special characters as Go escapes them."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return re.sub(_ESCAPED, lambda match: _ESCAPES.get(match[0], "\\ufffd"), text).encode()


def decode(raw: bytes, context: str, *, limit: int = DOCUMENT_LIMIT) -> object:
    """Return the value that *raw* holds.

    Raises:
        InvalidImage: too large, too deep, not JSON, not UTF-8, or ambiguous.
    """
    if len(raw) > limit:
        raise InvalidImage(f"{context}: the document is larger than {limit} bytes")
    try:
        # errors="strict" by default; a byte order mark is not JSON either.
        text = raw.decode("utf-8")
        if _is_too_deep(text):
            raise InvalidImage(f"{context}: the document is nested too deeply")
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except _AmbiguousError as error:
        raise InvalidImage(f"{context}: {str(error)[:200]}") from None
    except ValueError as error:
        raise InvalidImage(f"{context}: is not valid JSON ({_why(error)})") from None


def _is_too_deep(text: str) -> bool:
    # Only a document with so many brackets can be so deep; few have.
    if text.count("[") + text.count("{") <= _DEPTH:
        return False
    depth = 0
    for found in re.finditer(_STRUCTURE, text):
        mark = found[0]
        depth += (mark in "[{") - (mark in "]}")
        if depth > _DEPTH:
            return True
    return False


def _why(error: ValueError) -> str:
    """Return where or why a document is invalid; messages of Python's parser are for programmers."""
    if isinstance(error, json.JSONDecodeError):
        if error.doc.startswith("\ufeff"):
            return "it begins with a byte order mark"
        return f"line {error.lineno}, column {error.colno}"
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start + 1} is not UTF-8"
    # What is left is Python's own limit on the digits of a number.
    return "a number is too long"


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise _AmbiguousError("a key occurs twice in one object")
    return values


def _no_constant(name: str) -> object:
    raise _AmbiguousError(f"{name} is not JSON")


@positional
class Fields:
    """One JSON object and its path."""

    context: str
    values: Mapping[str, object]

    def at(self, key: str) -> str:
        """Return the path of a member."""
        return f"{self.context}.{key}" if self.context else key

    def error(self, key: str, message: str) -> InvalidImage:
        """Return the error for an invalid member."""
        return InvalidImage(f"{self.at(key)}: {message}")

    def has(self, key: str) -> bool:
        """Return whether the member exists and is not null."""
        return self.values.get(key) is not None

    def text(self, key: str, *, required: bool = False) -> str:
        """Return a string; empty when absent."""
        value = self._get(key, str, required=required)
        return "" if value is None else _require_utf8(value, self.at(key))

    def integer(self, key: str, *, required: bool = False) -> int:
        """Return a whole number; 0 when absent."""
        return self._get(key, int, required=required) or 0

    def flag(self, key: str) -> bool:
        """Return a truth value; False when absent."""
        return self._get(key, bool) or False

    def texts(self, key: str) -> tuple[str, ...] | None:
        """Return a list of strings; None when absent."""
        items = self._get(key, list)
        if items is None:
            return None
        return tuple(
            _require_utf8(_typed(item, str, f"{self.at(key)}[{i}]"), self.at(key)) for i, item in enumerate(items)
        )

    def text_map(self, key: str) -> dict[str, str]:
        """Return an object whose members are strings (null counts as empty), sorted by key; empty when absent."""
        members = self._get(key, dict) or {}
        pairs = ((_require_utf8(name, self.at(key)), value) for name, value in sorted(members.items()))
        return {name: self._map_value(key, name, value) for name, value in pairs}

    def names(self, key: str) -> tuple[str, ...]:
        """Return the sorted keys of an object that Go uses as a set; empty when absent."""
        return tuple(sorted(_require_utf8(name, self.at(key)) for name in self._get(key, dict) or {}))

    def nested(self, key: str) -> "Fields | None":
        """Return a nested object; None when absent."""
        value = self._get(key, dict)
        return None if value is None else Fields(self.at(key), value)

    def required_nested(self, key: str) -> "Fields":
        """Return a nested object, which must be there."""
        return Fields(self.at(key), self._get(key, dict, required=True) or {})

    def objects(self, key: str) -> tuple["Fields", ...]:
        """Return a list of objects; empty when absent."""
        items = self._get(key, list) or []
        places = (f"{self.at(key)}[{i}]" for i in range(len(items)))
        return tuple(Fields(place, _typed(item, dict, place)) for place, item in zip(places, items, strict=True))

    def _get(self, key: str, kind: type[_T], *, required: bool = False) -> _T | None:
        value = self.values.get(key)
        if value is not None:
            return _typed(value, kind, self.at(key))
        if required:
            raise self.error(key, f"expected {_TYPE_NAMES[kind]}, found nothing")
        return None

    def _map_value(self, key: str, name: str, value: object) -> str:
        return (
            "" if value is None else _require_utf8(_typed(value, str, f"{self.at(key)}[{name[:80]!r}]"), self.at(key))
        )


def parse_object(raw: bytes, context: str, *, limit: int = DOCUMENT_LIMIT) -> Fields:
    """Return the object that *raw* holds; *context* names it in errors. Raises InvalidImage."""
    return Fields(context, _typed(decode(raw, context, limit=limit), dict, context))


def parse_objects(raw: bytes, context: str, *, limit: int = DOCUMENT_LIMIT) -> tuple[Fields, ...]:
    """Return the objects of the list that *raw* holds. Raises InvalidImage."""
    return Fields("", {context: decode(raw, context, limit=limit)}).objects(context)


def _typed(value: object, kind: type[_T], place: str) -> _T:
    # bool is a kind of int in Python, but not in JSON.
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise InvalidImage(f"{place}: expected {_TYPE_NAMES[kind]}")
    return value


def _require_utf8(text: str, place: str) -> str:
    """Refuse half of a surrogate pair, which JSON can contain, but no file name or digest."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidImage(f"{place}: not valid Unicode") from None
    return text
