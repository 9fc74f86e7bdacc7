"""Typed access to the members of a JSON object, with errors that name their path: ``manifest.layers[3].size``.

``null`` and an absent member mean the same, as in Go. Unknown members are ignored.
"""

from collections.abc import Mapping
from typing import TypeVar

from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import InvalidDigest, InvalidImage
from pybuild.builder.oci.json_text import DOCUMENT_LIMIT, decode
from pybuild.runtime.values import positional

_T = TypeVar("_T")
_TYPE_NAMES = {str: "string", int: "int", bool: "bool", list: "list", dict: "object"}


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

    def digest(self, key: str) -> Digest:
        """Return a digest, which must be there."""
        return _digest(self.text(key, required=True), self.at(key))

    def digests(self, key: str) -> tuple[Digest, ...]:
        """Return a list of digests; empty when absent."""
        return tuple(_digest(text, f"{self.at(key)}[{i}]") for i, text in enumerate(self.texts(key) or ()))

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


def _digest(text: str, place: str) -> Digest:
    try:
        return Digest.parse(text)
    except InvalidDigest as error:
        raise InvalidImage(f"{place}: {error}") from None
