"""Ops and plans as JSON, and the canonical bytes that keys are computed from.

A value is encoded with a tag for its class and its fields by name, so a key covers the meaning of every field, and two
different ops never encode to the same bytes. `decode` returns an equal value.
"""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, get_args

from pybuild.builder.oci.digest import Digest
from pybuild.builder.plan import ops
from pybuild.builder.plan.plan import Plan, Vertex
from pybuild.runtime.values import fields, is_value

_TAG = "$"
# Stores and shared caches have keys computed from these names: they stay when a class or a field is renamed.
_STORED: Mapping[type, str] = {
    ops.Scratch: "Scratch",
    ops.Base: "Base diff_ids manifest reference",
    ops.Local: "Local name",
    ops.Http: "Http digest name mtime mode url",
    ops.Git: "Git commit subdir keep_git_dir submodules tag url ref",
    ops.Inline: "Inline name content",
    ops.Pick: "Pick path input unpack",
    ops.Exact: "Exact path input unpack",
    ops.Copy: "Copy sources destination chown chmod link parents exclude",
    ops.Mkdir: "Mkdir path user",
    ops.BindMount: "RunMount target source input read_only id env",
    ops.CacheMount: "RunMount target id source input read_only sharing mode uid gid env",
    ops.TmpfsMount: "RunMount target size source input read_only id env",
    ops.SecretMount: "RunMount target id source read_only mode uid gid required env",
    ops.SshMount: "RunMount target id input read_only mode uid gid required env",
    ops.Script: "Script path content",
    ops.Run: "Run args env cwd user network security hostname hosts mounts scripts proxies platform",
    Vertex: "Vertex op inputs name platform lines stages",
    Plan: "Plan vertices config created pins warnings refusal",
}
"""The tag of each class that is stored, and the stored names of its fields in their order."""

_NO_MOUNT: Mapping[str, Any] = {
    "source": "",
    "input": -1,
    "read_only": True,
    "id": "",
    "sharing": "shared",
    "mode": None,
    "uid": 0,
    "gid": 0,
    "size": 0,
    "required": False,
    "env": "",
}
"""The stored values of fields that the class of a mount lacks. Another line would change every key."""
_MOUNTS: Mapping[str, type] = {
    "bind": ops.BindMount,
    "cache": ops.CacheMount,
    "tmpfs": ops.TmpfsMount,
    "secret": ops.SecretMount,
    "ssh": ops.SshMount,
}
"""The mounts that share a form. Another one is stored under the names of its class and its fields."""
_MOUNT_KINDS = {mount: {**_NO_MOUNT, "kind": kind} for kind, mount in _MOUNTS.items()}
_KINDS: Mapping[str, type] = {
    **{names.split()[0]: kind for kind, names in _STORED.items() if kind not in _MOUNT_KINDS},
    **{mount.__name__: mount for mount in get_args(ops.RunMount) if mount not in _MOUNT_KINDS},
}


def encode(value: Any, *, aside: bool = True) -> Any:
    """Return *value* as JSON data; without *aside*, fields that are no part of a key are left out.

    Only values of the classes in the table can be decoded; any other class is written under its own names.
    """
    if is_value(value) and not isinstance(value, type):
        own_kind: Any = type(value)
        tag, names = _form(own_kind)
        kept = ((name, own) for name, (own, is_aside) in names.items() if aside or not is_aside)
        fixed = _MOUNT_KINDS.get(type(value), {})
        return {_TAG: tag, **fixed, **{name: encode(getattr(value, own), aside=aside) for name, own in kept}}
    if isinstance(value, tuple):
        return [encode(item, aside=aside) for item in value]
    if isinstance(value, frozenset):
        return sorted(value)
    return value


@cache
def _form(kind: Any) -> tuple[str, Mapping[str, tuple[str, bool]]]:
    """Return the tag of a value, and for each stored name its field, and whether that is left out of keys."""
    own = [(field.name, bool(field.metadata.get("aside"))) for field in fields(kind)]
    tag, *names = _STORED[kind].split() if kind in _STORED else (kind.__name__, *(name for name, _ in own))
    return tag, dict(zip(names, own, strict=True))


def decode(data: Any) -> Any:
    """Return the value that `encode` wrote; lists come back as tuples."""
    if isinstance(data, dict):
        kind: Any = _KINDS.get(data[_TAG]) or _MOUNTS[data["kind"]]
        _, names = _form(kind)
        fixed = {_TAG, *_MOUNT_KINDS.get(kind, ())} - names.keys()
        return kind(**{names[name][0]: decode(item) for name, item in data.items() if name not in fixed})
    if isinstance(data, list):
        return tuple(decode(item) for item in data)
    return data


def canonical(value: Any) -> bytes:
    """Return the bytes of *value* for a key."""
    return json.dumps(encode(value, aside=False), sort_keys=True, separators=(",", ":")).encode()


def digest(*parts: Any) -> Digest:
    """Return the digest of *parts*: text, numbers, None, tuples, sets of text and frozen values.

    No two lists of parts give the same bytes.
    """
    return Digest.of(canonical(tuple(parts)))
