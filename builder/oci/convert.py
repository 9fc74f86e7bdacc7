"""Converting an image: OCI's or Docker's media types, another compression of layers. Image IDs stay the same."""

from dataclasses import dataclass, replace

from pybuild.builder.oci import media
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.model import Descriptor, Index, Manifest
from pybuild.builder.oci.streams.compression import check_level, decompressing, open_compressor
from pybuild.builder.oci.streams.verified import pieces


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How an image is written. *algorithm* is that of all layers; "" keeps each as it is."""

    docker: bool = False
    algorithm: str = ""
    level: int | None = None


def convert(blobs: BlobStore, descriptor: Descriptor, form: Form) -> Descriptor:
    """Return *descriptor*, a manifest or an index of manifests, in this *form*; new blobs are put into *blobs*.

    Docker's media type for zstd is not read by all of its tools, so such layers become gzip. Annotations are kept.

    Raises:
        OciError: a blob is missing or damaged.
    """
    return _Conversion(blobs, form).document(descriptor)


def recompress(blobs: BlobStore, layer: Descriptor, algorithm: str, level: int | None) -> Descriptor:
    """Compress *layer* again, put it into *blobs* and return its descriptor, with OCI's media type."""
    with blobs.open(layer) as packed, decompressing(packed) as content, blobs.writer() as blob:
        compressor = open_compressor(algorithm, level, blob.write)
        try:
            for piece in pieces(content):
                compressor.write(piece)
            compressor.close()
        finally:
            compressor.abort()
        digest, size = blob.commit()
    return Descriptor(media_type=media.oci_layer(algorithm), digest=digest, size=size)


class _Conversion:
    def __init__(self, blobs: BlobStore, form: Form) -> None:
        self._blobs, self._form = blobs, form
        self._level = check_level(form.algorithm, form.level) if form.algorithm else None
        self._done: dict[Descriptor, Descriptor] = {}

    def document(self, descriptor: Descriptor) -> Descriptor:
        raw = self._blobs.read(descriptor)
        document: Index | Manifest
        if descriptor.media_type in media.INDEXES:
            index = Index.from_json(raw, f"index {descriptor.digest}")
            inner = tuple(self.document(entry) for entry in index.manifests)
            document = replace(index, media_type=self._type(index.media_type), manifests=inner)
        else:
            manifest = Manifest.from_json(raw, f"manifest {descriptor.digest}")
            document = replace(
                manifest,
                media_type=self._type(manifest.media_type),
                config=replace(manifest.config, media_type=self._type(manifest.config.media_type)),
                layers=tuple(map(self._layer, manifest.layers)),
            )
        new = self._blobs.put(document.to_json(), document.media_type)
        return replace(descriptor, media_type=new.media_type, digest=new.digest, size=new.size)

    def _layer(self, layer: Descriptor) -> Descriptor:
        found = media.layer_compression(layer.media_type)
        wanted = self._form.algorithm
        if not wanted and self._form.docker and found == "zstd":
            wanted = "gzip"
        # The level of a compressed layer is unknown, so a requested level always compresses again.
        if wanted and found and (found != wanted or self._form.level is not None):
            if layer not in self._done:
                new = recompress(self._blobs, layer, wanted, self._level)
                self._done[layer] = replace(layer, media_type=new.media_type, digest=new.digest, size=new.size)
            layer = self._done[layer]
        return replace(layer, media_type=self._type(layer.media_type))

    def _type(self, media_type: str) -> str:
        return media.to_docker(media_type) if self._form.docker else media.to_oci(media_type)
