"""JSON as bytes: untrusted text in, canonical text out.

Reading refuses what parsers could understand in different ways: repeated keys, NaN, text that is not UTF-8. Writing
gives the bytes that Go's ``json.Marshal`` gives for the same document, so an image that Docker would have built has the
same digest here.
"""

import json
import re

from pybuild.builder.oci.errors import InvalidImage

DOCUMENT_LIMIT = 4 * 1024 * 1024
"""The largest manifest that a registry must accept (distribution-spec, "Pushing Manifests")."""

_DEPTH = 500
"""Objects and arrays within each other. Python's own limit counts callers, too, and differs between versions."""
_STRUCTURE = r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]'

# What Go escapes beyond the rules of JSON, so that a document can be pasted into HTML; and lone surrogates, which it
# replaces, as they have no UTF-8 form.
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_ESCAPED = "[<>&\u2028\u2029\ud800-\udfff]"


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
