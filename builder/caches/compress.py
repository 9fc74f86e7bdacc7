"""Layers of a cache compressed in another way than in the store: ``compression=`` of ``--cache-to``."""

from dataclasses import replace

from pybuild.builder.caches.document import Remembered
from pybuild.builder.caches.places import Writing
from pybuild.builder.oci import media
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.convert import recompress
from pybuild.builder.oci.streams.compression import check_level
from pybuild.builder.store.cache import BuiltLayer, Layers


def compressed(remembered: Remembered, writing: Writing, blobs: BlobStore) -> Remembered:
    """Return *remembered* with its layers compressed as *writing* asks; new ones are put into *blobs*.

    Layers that are compressed in this way already stay as they are, unless ``force-compression=true``.
    Raises OciError and OSError.
    """
    if writing.compression is None:
        return remembered
    algorithm = writing.compression.algorithm
    level = check_level(algorithm, writing.compression.level)
    done = {}

    def one(layer: BuiltLayer) -> BuiltLayer:
        if media.layer_compression(layer.media_type) == algorithm and not writing.force_compression:
            return layer
        if layer.digest not in done:
            done[layer.digest] = recompress(blobs, layer.descriptor, algorithm, level)
        new = done[layer.digest]
        return replace(layer, digest=new.digest, size=new.size, media_type=new.media_type)

    def all_of(layers: Layers) -> Layers:
        return Layers(one(layer) if layer.created else layer for layer in layers)

    return replace(
        remembered,
        records={key: all_of(layers) for key, layers in remembered.records.items()},
        mounts=tuple(replace(mount, layer=one(mount.layer)) for mount in remembered.mounts),
    )
