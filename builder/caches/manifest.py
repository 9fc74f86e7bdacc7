"""A cache as an OCI image manifest: its config is the document, its layers are those of the records."""

from pybuild.builder.caches.document import CONFIG_TYPE, DOCUMENT_LIMIT, Remembered
from pybuild.builder.oci import media
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.errors import InvalidImage
from pybuild.builder.oci.image import reachable
from pybuild.builder.oci.image_config import BUILD_CACHE
from pybuild.builder.oci.json_documents import parse_object
from pybuild.builder.oci.model import Descriptor, Manifest


def write_manifest(remembered: Remembered, blobs: BlobStore) -> Descriptor:
    """Store the documents of a cache whose layers are in *blobs*, and return its descriptor."""
    config = blobs.put(remembered.to_json(), CONFIG_TYPE)
    manifest = Manifest(config=config, layers=remembered.blobs)
    return blobs.put(manifest.to_json(), manifest.media_type)


def read_caches(descriptor: Descriptor, blobs: BlobStore) -> Remembered:
    """Return the cache that *descriptor* names: a manifest of its own, or an image with an inline cache.

    Raises:
        InvalidImage: it has no cache, or its layers are not those of its records.
    """
    documents = [item for item in reachable(blobs, descriptor) if item.media_type in media.MANIFESTS]
    found = [cache for item in documents if (cache := _read_manifest(item, blobs)) is not None]
    if not found:
        raise InvalidImage("it has no cache of pybuild", hint="write it with --cache-to")
    records = {key: layers for cache in found for key, layers in cache.records.items()}
    selections = {key: content for cache in found for key, content in cache.selections.items()}
    return Remembered(records=records, selections=selections, mounts=tuple(m for cache in found for m in cache.mounts))


def _read_manifest(descriptor: Descriptor, blobs: BlobStore) -> Remembered | None:
    manifest = Manifest.from_json(blobs.read(descriptor), f"manifest {descriptor.digest}")
    if manifest.config.media_type == CONFIG_TYPE:
        remembered = Remembered.from_json(blobs.read(manifest.config, DOCUMENT_LIMIT))
    elif manifest.config.media_type in media.CONFIGS:
        text = parse_object(blobs.read(manifest.config), "config").text(BUILD_CACHE)
        if not text:
            return None
        remembered = Remembered.from_json(text.encode())
    else:
        return None
    listed = {(layer.digest, layer.size) for layer in manifest.layers}
    for blob in remembered.blobs:
        if (blob.digest, blob.size) not in listed:
            raise InvalidImage(f"{descriptor.digest}: layer {blob.digest} of a record is not in the manifest")
    return remembered
