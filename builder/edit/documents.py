"""The config and the manifest of an image with all their fields, even those that `builder.oci.model` does not know.

An edit changes its own fields and keeps all others. Documents that are read were checked by `read_image`, and documents
that are written are read back in the same way.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pybuild.builder.oci import media
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.image import Image, read_image
from pybuild.builder.oci.json_documents import decode, encode
from pybuild.builder.oci.layers.layer import Layer
from pybuild.builder.oci.model import Descriptor, ImageConfig, Platform

Members = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDocuments:
    """Both documents as JSON objects; the descriptor of the config in the manifest is filled in by `write`."""

    config: Members
    manifest: Members

    @classmethod
    def read(cls, blobs: BlobStore, image: Image) -> "ImageDocuments":
        """Return the documents of *image*."""
        return cls(config=_read(blobs, image.manifest.config), manifest=_read(blobs, image.descriptor))

    @property
    def diff_ids(self) -> list[str]:
        """The diff IDs of the layers."""
        return list(self.config["rootfs"].get("diff_ids") or [])

    @property
    def layers(self) -> list[Members]:
        """The descriptors of the layers."""
        return list(self.manifest.get("layers") or [])

    @property
    def history(self) -> list[Members]:
        """The history, with exactly one entry that is not empty for each layer.

        Missing entries are added in front, so that entries and layers match at the end. A history with entries for more
        layers than there are cannot be matched: all its entries count as empty.
        """
        entries: list[Members] = list(self.config.get("history") or [])
        missing = len(self.diff_ids) - sum(not entry.get("empty_layer") for entry in entries)
        if missing < 0:
            entries = [{**entry, "empty_layer": True} for entry in entries]
            missing = len(self.diff_ids)
        return [{} for _ in range(missing)] + entries

    def with_config(self, before: ImageConfig, after: ImageConfig) -> "ImageDocuments":
        """Return the documents with the fields changed in which two configs differ."""
        old, new = json.loads(before.to_json()), json.loads(after.to_json())
        return replace(self, config=_merge(self.config, old, new))

    def with_annotations(self, annotations: Mapping[str, str]) -> "ImageDocuments":
        """Return the documents with these annotations of the manifest and no others."""
        rest = {key: value for key, value in self.manifest.items() if key != "annotations"}
        own = {"annotations": dict(annotations)} if annotations else {}
        return replace(self, manifest={**rest, **own})

    def with_layers(
        self, layers: Iterable[Members], diff_ids: Iterable[str], history: Iterable[Members]
    ) -> "ImageDocuments":
        """Return the documents of the same image with other layers."""
        root_fs = {**self.config["rootfs"], "diff_ids": list(diff_ids)}
        config = {**self.config, "rootfs": root_fs, "history": list(history)}
        return replace(self, config=config, manifest={**self.manifest, "layers": list(layers)})

    def write(self, blobs: BlobStore, source: Image) -> Image:
        """Store the documents as those of an OCI image and return it; *source* itself when nothing was changed."""
        before = ImageDocuments.read(blobs, source)
        if before == self:
            return source
        same = before.config == self.config
        config = source.manifest.config if same else blobs.put(encode(self.config), media.OCI_CONFIG)
        descriptor = blobs.put(encode(_oci_manifest(self.manifest, config)), media.OCI_MANIFEST)
        image = read_image(blobs, descriptor)
        known = image.config
        platform = Platform(os=known.os, architecture=known.architecture, variant=known.variant)
        return replace(image, descriptor=replace(descriptor, platform=platform))


def layer_members(layer: Layer) -> Members:
    """Return the descriptor of a layer as JSON of a manifest."""
    descriptor = layer.descriptor
    return {"mediaType": descriptor.media_type, "digest": str(descriptor.digest), "size": descriptor.size}


def _read(blobs: BlobStore, descriptor: Descriptor) -> Members:
    found = decode(blobs.read(descriptor), str(descriptor.digest))
    # `read_image` has checked that it is an object.
    return found if isinstance(found, dict) else {}


def _merge(raw: Members, before: Members, after: Members) -> Members:
    result = dict(raw)
    for key in {**before, **after}:
        if key not in after:
            result.pop(key, None)
        elif before.get(key) != after[key]:
            mine, old, new = result.get(key), before.get(key), after[key]
            nested = isinstance(mine, dict) and isinstance(new, dict)
            result[key] = _merge(mine or {}, old or {}, new) if nested else new
    return result


def _oci_manifest(manifest: Members, config: Descriptor) -> Members:
    """Return *manifest* with OCI's media types; the order of its fields stays the same."""
    described = {"mediaType": media.OCI_CONFIG, "digest": str(config.digest), "size": config.size}
    return {
        "schemaVersion": 2,
        "mediaType": media.OCI_MANIFEST,
        **{key: value for key, value in manifest.items() if key not in {"schemaVersion", "mediaType"}},
        "config": {**manifest["config"], **described},
        "layers": [{**layer, "mediaType": media.to_oci(layer["mediaType"])} for layer in manifest.get("layers") or []],
    }
