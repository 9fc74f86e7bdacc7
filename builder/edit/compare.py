"""What differs between the documents and the layers of two images."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pybuild.builder.edit.documents import ImageDocuments, Members
from pybuild.builder.oci.image import Image
from pybuild.builder.stages.config import split_env

_ABSENT = object()
# Both follow from the layers, which are compared by themselves.
_APART = frozenset({"rootfs", "history"})


@dataclass(frozen=True, slots=True)
class Setting:
    """A value that differs; *before* and *after* are JSON, None where it is missing."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class StoredLayer:
    """A layer of an image; *size* is that of its blob, compressed."""

    diff_id: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSets:
    """The layers of two images, each in the order of its image; layers with the same diff ID are shared."""

    shared: tuple[StoredLayer, ...]
    before: tuple[StoredLayer, ...]
    after: tuple[StoredLayer, ...]


def settings(before: ImageDocuments, after: ImageDocuments) -> list[Setting]:
    """Return the differences in config and annotations, by name, without layers and history.

    Variables, labels and entries of other maps are fields of their own: ``config.Env.PATH``.
    """
    old, new = dict(_fields(before)), dict(_fields(after))
    return [
        Setting(name, old.get(name), new.get(name))
        for name in sorted(old.keys() | new.keys())
        if old.get(name, _ABSENT) != new.get(name, _ABSENT)
    ]


def layers(before: Image, after: Image) -> LayerSets:
    """Return which layers the images share."""
    old, new = _layers(before), _layers(after)
    mine, theirs = ({layer.diff_id for layer in side} for side in (old, new))
    return LayerSets(
        shared=tuple(layer for layer in old if layer.diff_id in theirs),
        before=tuple(layer for layer in old if layer.diff_id not in theirs),
        after=tuple(layer for layer in new if layer.diff_id not in mine),
    )


def _layers(image: Image) -> list[StoredLayer]:
    pairs = zip(image.config.diff_ids, image.manifest.layers, strict=True)
    return [StoredLayer(str(diff_id), str(layer.digest), layer.size) for diff_id, layer in pairs]


def _fields(documents: ImageDocuments) -> Iterator[tuple[str, Any]]:
    top = {key: value for key, value in documents.config.items() if key not in _APART | {"config"}}
    yield from _present(top, "")
    container: Members = documents.config.get("config") or {}
    for key, value in container.items():
        members = split_env(value or ()) if key == "Env" else value
        if isinstance(members, dict):
            yield from _present(members, f"config.{key}.")
        else:
            yield from _present({key: value}, "config.")
    yield from _present(documents.manifest.get("annotations") or {}, "annotations.")


def _present(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield the values that are not empty: to programs in Go, null and an empty list mean the same as no value."""
    return ((f"{prefix}{key}", value) for key, value in values.items() if value is not None and value != [])
