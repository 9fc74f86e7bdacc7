"""The document of a shared cache: records, selections and cache mounts, as the config of an OCI image manifest.

    {"version": 1,
     "layers": [{"diffID": ..., "digest": ..., "size": ..., "mediaType": ..., "created": ..., "made": ...}, ...],
     "records": [{"key": ..., "layers": [0, 1]}, ...],
     "selections": [{"key": ..., "content": ...}, ...],
     "mounts": [{"name": ..., "layer": 2, "mode": 493, "uid": 0, "gid": 0}, ...]}

The layers of steps are the layers of the manifest. Those of a base image (without "created") are not among them: a
build has the base, or pulls it. Documents that are read come from other hosts and are checked here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pybuild.builder.oci import media
from pybuild.builder.oci.digest import Digest, read_digest
from pybuild.builder.oci.errors import InvalidImage
from pybuild.builder.oci.json_documents import Fields, encode, parse_object
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.store.cache import BuiltLayer, Layers

CONFIG_TYPE = "application/vnd.pybuild.cacheconfig.v1+json"
DOCUMENT_LIMIT = 64 << 20
"""Bytes: a cache of many thousand steps stays below it."""

_VERSION = 1
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z\Z", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """The content of a cache mount; *name* is that of `builder.execute.mounts`."""

    name: str
    layer: BuiltLayer
    mode: int = 0o755
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """The content of a cache."""

    records: Mapping[Digest, Layers] = field(default_factory=dict)
    selections: Mapping[Digest, Digest] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """The blobs that the cache consists of, each once, in a stable order."""
        made = (layer for layers in self.records.values() for layer in layers if layer.created)
        mounted = (mount.layer for mount in self.mounts)
        return tuple({layer.digest: layer.descriptor for layer in (*made, *mounted)}.values())

    def to_json(self) -> bytes:
        """Return the document."""
        every = (*(layer for layers in self.records.values() for layer in layers), *(m.layer for m in self.mounts))
        places = {layer: place for place, layer in enumerate(dict.fromkeys(every))}
        return encode(
            {
                "version": _VERSION,
                "layers": [_layer_json(layer) for layer in places],
                "records": [
                    {"key": str(key), "layers": [places[layer] for layer in layers]}
                    for key, layers in self.records.items()
                ],
                "selections": [{"key": str(key), "content": str(found)} for key, found in self.selections.items()],
                "mounts": [_mount_json(mount, places[mount.layer]) for mount in self.mounts],
            }
        )

    @classmethod
    def from_json(cls, raw: bytes, context: str = "cache") -> "Remembered":
        """Parse and check a document. Raises InvalidImage."""
        return cls.from_fields(parse_object(raw, context, limit=DOCUMENT_LIMIT))

    @classmethod
    def from_fields(cls, fields: Fields) -> "Remembered":
        """Check a parsed document. Raises InvalidImage."""
        if fields.integer("version", required=True) != _VERSION:
            raise fields.error("version", f"expected {_VERSION}: another version of pybuild wrote it")
        layers = Layers(_layer(item) for item in fields.objects("layers"))
        return cls(
            records={read_digest(item, "key"): _chosen(item, layers) for item in fields.objects("records")},
            selections={
                read_digest(item, "key"): read_digest(item, "content") for item in fields.objects("selections")
            },
            mounts=tuple(_mount(item, layers) for item in fields.objects("mounts")),
        )


def _layer_json(layer: BuiltLayer) -> dict[str, object]:
    return {
        "diffID": str(layer.diff_id),
        "digest": str(layer.digest),
        "size": layer.size,
        "mediaType": layer.media_type,
        **({"created": layer.created} if layer.created else {}),
        **({"made": layer.made} if layer.made else {}),
    }


def _mount_json(mount: Mount, place: int) -> dict[str, object]:
    return {"name": mount.name, "layer": place, "mode": mount.mode, "uid": mount.uid, "gid": mount.gid}


def _layer(fields: Fields) -> BuiltLayer:
    created, made = (_time(fields, key) for key in ("created", "made"))
    media_type = fields.text("mediaType", required=True)
    size = fields.integer("size", required=True)
    if media.layer_compression(media_type) is None:
        raise fields.error("mediaType", f"not a layer: {media_type[:100]!r}")
    if not 0 <= size < 1 << 63:
        raise fields.error("size", "out of range")
    return BuiltLayer(read_digest(fields, "diffID"), read_digest(fields, "digest"), size, media_type, created, made)


def _time(fields: Fields, key: str) -> str:
    found = fields.text(key)
    if found and not (_TIME.match(found) and _is_date(found[:19])):
        raise fields.error(key, f"not a time: {found[:80]!r}")
    return found


def _is_date(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _chosen(fields: Fields, layers: Layers) -> Layers:
    numbers = fields.values.get("layers")
    if not isinstance(numbers, list) or not all(type(number) is int for number in numbers):
        raise fields.error("layers", "expected a list of numbers")
    return Layers(_one(fields, layers, number) for number in numbers)


def _one(fields: Fields, layers: Layers, number: int) -> BuiltLayer:
    if not 0 <= number < len(layers):
        raise InvalidImage(f"{fields.context}: there is no layer {number}")
    return layers[number]


def _mount(fields: Fields, layers: Layers) -> Mount:
    mode, uid, gid = (fields.integer(key) for key in ("mode", "uid", "gid"))
    if not (0 <= mode <= 0o7777 and 0 <= uid < 1 << 32 and 0 <= gid < 1 << 32):
        raise fields.error("mode", "mode or owner out of range")
    name = fields.text("name", required=True)
    if not name:
        raise fields.error("name", "empty")
    layer = _one(fields, layers, fields.integer("layer", required=True))
    return Mount(name=name, layer=layer, mode=mode, uid=uid, gid=gid)
