"""Ops and plans as JSON, and the canonical bytes that keys are made of.

A value is encoded with the name of its class and its fields by name, so a key covers the meaning of every field, and
two different ops never encode to the same bytes. `decode` gives back an equal value.
"""

import json
from dataclasses import fields, is_dataclass
from typing import Any

from pybuild.builder.oci.digest import Digest
from pybuild.builder.plan import ops
from pybuild.builder.plan.plan import Plan, Vertex

_TAG = "$"
_CLASSES = {
    kind.__name__: kind
    for kind in (
        ops.Scratch,
        ops.Base,
        ops.Local,
        ops.Http,
        ops.Git,
        ops.Inline,
        ops.Pick,
        ops.Copy,
        ops.Mkdir,
        ops.RunMount,
        ops.Script,
        ops.Run,
        Vertex,
        Plan,
    )
}


def encode(value: Any, *, aside: bool = True) -> Any:
    """Return *value* as JSON data; without *aside*, fields that are no part of a key are left out."""
    if is_dataclass(value) and not isinstance(value, type):
        names = (field.name for field in fields(value) if aside or not field.metadata.get("aside"))
        tag = {_TAG: type(value).__name__}
        return tag | {name: encode(getattr(value, name), aside=aside) for name in names}
    if isinstance(value, tuple):
        return [encode(item, aside=aside) for item in value]
    return value


def decode(data: Any) -> Any:
    """Return the value that `encode` wrote; lists come back as tuples."""
    if isinstance(data, dict):
        kind = _CLASSES[data[_TAG]]
        return kind(**{name: decode(item) for name, item in data.items() if name != _TAG})
    if isinstance(data, list):
        return tuple(decode(item) for item in data)
    return data


def canonical(value: Any) -> bytes:
    """Return the bytes of *value* that enter a key."""
    return json.dumps(encode(value, aside=False), sort_keys=True, separators=(",", ":")).encode()


def digest(*parts: Any) -> Digest:
    """Return the digest of *parts*: text, numbers, None, tuples and ops. No two lists of parts give the same bytes."""
    return Digest.of(canonical(tuple(parts)))
