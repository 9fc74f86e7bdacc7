"""The OCI layout in an archive: the images that are complete, and the documents to store for them."""

from dataclasses import replace

from pybuild.builder.oci import media
from pybuild.builder.oci.archive.files import ArchiveFiles
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import BlobNotFound, DigestMismatch, InvalidImage, SizeMismatch
from pybuild.builder.oci.image import INDEX_DEPTH, check_media_type
from pybuild.builder.oci.layers.layer import Layer
from pybuild.builder.oci.model import Descriptor, ImageConfig, Index, Manifest


class LayoutFiles:
    """The documents and layers of a layout, by digest. First `complete` each image, then `store` once.

    Symlinks are not followed: only files in ``blobs/`` itself were compared with their names.
    """

    def __init__(self, files: ArchiveFiles) -> None:
        self._files = files
        self._documents: dict[Digest, bytes] = {}

    def complete(self, descriptor: Descriptor) -> Descriptor:
        """Return the descriptor under which the image of an entry will be in the store, without annotations.

        Of an index only the images in the archive are taken: ``docker save`` writes the index of all platforms, but the
        content of one.

        Raises:
            BlobNotFound: something is missing.
            InvalidImage, DigestMismatch, SizeMismatch: a document is wrong, or a layer is not that of its config.
        """
        return self._document(replace(descriptor, annotations={}), 0)

    def store(self, blobs: BlobStore) -> None:
        """Put the documents of all complete images into *blobs*, which has their layers already."""
        # In the order in which they were added: a document comes after all that it names.
        for digest, content in self._documents.items():
            with blobs.writer(digest.algorithm) as writer:
                writer.write(content)
                writer.commit(digest)

    def _document(self, descriptor: Descriptor, depth: int) -> Descriptor:
        if depth > INDEX_DEPTH:
            raise InvalidImage(f"index {descriptor.digest}: more than {INDEX_DEPTH} indexes in one another")
        if descriptor.media_type in media.INDEXES:
            return self._index(descriptor, depth)
        if descriptor.media_type in media.MANIFESTS:
            return self._manifest(descriptor)
        raise InvalidImage(f"{descriptor.digest}: unknown kind of document {descriptor.media_type[:100]!r}")

    def _index(self, descriptor: Descriptor, depth: int) -> Descriptor:
        raw = self._read(descriptor)
        index = Index.from_json(raw, f"index {descriptor.digest}")
        check_media_type(descriptor, index.media_type)
        kept = []
        missing: BlobNotFound | None = None
        for entry in index.manifests:
            try:
                kept.append(self._document(entry, depth + 1))
            except BlobNotFound as error:
                missing = error
        if not kept and missing:
            raise missing
        if tuple(kept) == index.manifests:
            return self._take(descriptor, raw)
        if len(kept) == 1:
            return kept[0]
        return self._take_new(descriptor, replace(index, manifests=tuple(kept)).to_json())

    def _manifest(self, descriptor: Descriptor) -> Descriptor:
        raw = self._read(descriptor)
        manifest = Manifest.from_json(raw, f"manifest {descriptor.digest}")
        check_media_type(descriptor, manifest.media_type)
        config = self._read(manifest.config)
        layers = tuple(self._files.layers.get(_path(layer.digest)) for layer in manifest.layers)
        stored = tuple(map(self._store, manifest.layers, layers))
        # Artifacts have other configs, without diff IDs (image-spec, manifest.md, "Guidelines for Artifact Usage").
        if manifest.config.media_type in media.CONFIGS and None not in layers:
            whole = tuple(filter(None, layers))
            check_diff_ids(
                ImageConfig.from_json(config, f"config {manifest.config.digest}"), whole, str(descriptor.digest)
            )
        self._take(manifest.config, config)
        if stored == manifest.layers:
            return self._take(descriptor, raw)
        return self._take_new(descriptor, replace(manifest, layers=stored).to_json())

    def _store(self, named: Descriptor, layer: Layer | None) -> Descriptor:
        """Return the descriptor, in the store, of a layer or other content of a manifest."""
        if layer is None:
            self._take(named, self._read(named))
            return named
        if layer.descriptor.digest == named.digest:
            if layer.descriptor.size != named.size:
                raise SizeMismatch(f"{named.digest} has {layer.descriptor.size} bytes instead of {named.size}")
            return named
        # The archive has the layer uncompressed, and the store has it compressed, under another digest.
        docker = named.media_type.startswith(media.DOCKER_LAYER)
        media_type = media.DOCKER_LAYER_GZIP if docker else media.OCI_LAYER_GZIP
        return replace(named, media_type=media_type, digest=layer.descriptor.digest, size=layer.descriptor.size)

    def _read(self, descriptor: Descriptor) -> bytes:
        content = self._files.documents.get(_path(descriptor.digest))
        if content is None:
            raise BlobNotFound(f"the archive has no {_path(descriptor.digest)}")
        if len(content) != descriptor.size:
            raise SizeMismatch(f"{descriptor.digest} has {len(content)} bytes instead of {descriptor.size}")
        return content

    def _take(self, descriptor: Descriptor, content: bytes) -> Descriptor:
        self._documents[descriptor.digest] = content
        return descriptor

    def _take_new(self, like: Descriptor, content: bytes) -> Descriptor:
        return self._take(replace(like, digest=Digest.of(content), size=len(content)), content)


def check_diff_ids(config: ImageConfig, layers: tuple[Layer, ...], image: str) -> None:
    """Refuse layers that are not those of the config. Raises InvalidImage or DigestMismatch."""
    if len(config.diff_ids) != len(layers):
        raise InvalidImage(f"image {image}: {len(layers)} layers, but {len(config.diff_ids)} diff IDs")
    for number, (expected, layer) in enumerate(zip(config.diff_ids, layers, strict=True)):
        if layer.diff_id != expected:
            raise DigestMismatch(f"image {image}: layer {number} has the diff ID {layer.diff_id} instead of {expected}")


def _path(digest: Digest) -> str:
    return f"blobs/{digest.algorithm}/{digest.hex}"
