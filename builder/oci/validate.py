"""One checker of every promise that a stored image makes. Each test that makes an image ends with it.

Problems are collected as sentences rather than raised, so that one run shows all of them.
"""

import hashlib
from pathlib import Path
from typing import BinaryIO

from pybuild.builder.oci import media
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import OciError
from pybuild.builder.oci.image import INDEX_DEPTH, check_media_type
from pybuild.builder.oci.layout import Layout
from pybuild.builder.oci.model import Descriptor, ImageConfig, Index, Manifest
from pybuild.builder.oci.streams.compression import decompressing
from pybuild.builder.oci.streams.verified import pieces, verifying

_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5": "zstd"}


def validate(blobs: BlobStore, descriptor: Descriptor) -> list[str]:
    """Return what is wrong with the image or index that *descriptor* names; an empty list when nothing is.

    Every blob that belongs to it is read: digests and sizes of the bytes, media types, the number of layers in
    manifest, config and history, and that each layer unpacks to its diff ID.
    """
    check = _Check(blobs)
    check.check_document(descriptor, 0)
    return check.problems


def validate_store(root: Path) -> list[str]:
    """Return what is wrong with the layout at *root*: with its images, and with blobs that belong to none."""
    blobs = BlobStore(root)
    check = _Check(blobs)
    try:
        entries = Layout(root).entries()
    except OciError as error:
        return [str(error)]
    for _, descriptor in entries:
        check.check_document(descriptor, 0)
    for digest in blobs.digests():
        check.check_orphan(digest)
    return check.problems


class _Check:
    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._seen: set[Digest] = set()
        self._diff_ids: dict[Digest, Digest | None] = {}
        self.problems: list[str] = []

    def check_document(self, descriptor: Descriptor, depth: int) -> None:
        """Check a manifest or an index, and what it leads to."""
        if descriptor.digest in self._seen:
            return
        self._seen.add(descriptor.digest)
        try:
            if descriptor.media_type in media.INDEXES:
                self._index(descriptor, depth)
            elif descriptor.media_type in media.MANIFESTS:
                self._manifest(descriptor)
            else:
                self._report(descriptor, f"unknown kind of document {descriptor.media_type!r}")
        except OciError as error:
            self.problems.append(str(error))

    def check_orphan(self, digest: Digest) -> None:
        """Check a blob that no image led to."""
        if digest in self._seen:
            return
        try:
            with verifying(self._blobs.open(digest), digest, None) as stream:
                _drain(stream)
        except OciError as error:
            self.problems.append(str(error))

    def _index(self, descriptor: Descriptor, depth: int) -> None:
        index = Index.from_json(self._blobs.read(descriptor), f"index {descriptor.digest}")
        check_media_type(descriptor, index.media_type)
        if depth == INDEX_DEPTH:
            self._report(descriptor, f"more than {INDEX_DEPTH} indexes in one another")
            return
        for entry in index.manifests:
            self.check_document(entry, depth + 1)

    def _manifest(self, descriptor: Descriptor) -> None:
        manifest = Manifest.from_json(self._blobs.read(descriptor), f"manifest {descriptor.digest}")
        check_media_type(descriptor, manifest.media_type)
        layers = [layer for layer in manifest.layers if media.layer_compression(layer.media_type)]
        if manifest.config.media_type not in media.CONFIGS or len(layers) != len(manifest.layers):
            # An attestation or another artifact: nothing is known of it but its blobs.
            for blob in (manifest.config, *manifest.layers):
                self._check_content(blob)
            return
        self._seen.add(manifest.config.digest)
        config = ImageConfig.from_json(self._blobs.read(manifest.config), f"config {manifest.config.digest}")
        self._counts(descriptor, manifest, config)
        self._platform(descriptor, config)
        for layer, diff_id in zip(manifest.layers, config.diff_ids, strict=False):
            self._layer(layer, diff_id)

    def _counts(self, descriptor: Descriptor, manifest: Manifest, config: ImageConfig) -> None:
        if len(manifest.layers) != len(config.diff_ids):
            self._report(descriptor, f"{len(manifest.layers)} layers, but {len(config.diff_ids)} diff IDs")
        if config.history and config.layers_in_history != len(config.diff_ids):
            self._report(descriptor, f"{len(config.diff_ids)} layers, but {config.layers_in_history} in the history")

    def _platform(self, descriptor: Descriptor, config: ImageConfig) -> None:
        said = descriptor.platform
        if said and (said.os, said.architecture) != (config.os, config.architecture):
            self._report(descriptor, f"said to be for {said}, but made for {config.os}/{config.architecture}")

    def _layer(self, layer: Descriptor, diff_id: Digest) -> None:
        if layer.digest not in self._diff_ids:
            self._diff_ids[layer.digest] = self._check_content(layer)
        found = self._diff_ids[layer.digest]
        if found is not None and found != diff_id:
            self._report(layer, f"unpacks to {found} instead of {diff_id}")

    def _check_content(self, blob: Descriptor) -> Digest | None:
        """Check the bytes of a blob and return the digest of what it unpacks to; None when it is damaged."""
        self._seen.add(blob.digest)
        compression = media.layer_compression(blob.media_type)
        unpacked = hashlib.sha256()
        try:
            with self._blobs.open(blob) as file:
                found = _MAGIC.get(file.read(2), "uncompressed")
            with verifying(self._blobs.open(blob), blob.digest, blob.size) as stream:
                for piece in pieces(decompressing(stream) if compression else stream):
                    unpacked.update(piece)
                _drain(stream)
        except OciError as error:
            self._report(blob, str(error))
            return None
        if compression not in {None, found}:
            self._report(blob, f"is {found}, but its media type says {compression}")
        return Digest("sha256", unpacked.hexdigest())

    def _report(self, descriptor: Descriptor, problem: str) -> None:
        self.problems.append(f"{descriptor.digest}: {problem}")


def _drain(stream: BinaryIO) -> None:
    """Read to the end, where a verifying reader compares."""
    for _ in pieces(stream):
        pass
