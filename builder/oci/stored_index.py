"""The part of an index that a store has: a pull for one platform stores one image of it, and the index."""

from collections.abc import Iterator
from contextlib import suppress

from pybuild.builder.oci import media
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import BlobNotFound, ImageNotFound, OciError
from pybuild.builder.oci.image import INDEX_DEPTH, children, choose_manifest, reachable
from pybuild.builder.oci.model import Descriptor


def is_whole(blobs: BlobStore, descriptor: Descriptor) -> bool:
    """Return whether the store has all documents below *descriptor*. Layers are not checked."""
    try:
        reachable(blobs, descriptor)
    except BlobNotFound:
        return False
    return True


def listed_manifests(blobs: BlobStore, descriptor: Descriptor, depth: int = 0) -> Iterator[Descriptor]:
    """Yield the manifests below *descriptor* in their order, even missing ones; a manifest yields itself."""
    if descriptor.media_type not in media.INDEXES:
        yield descriptor
    elif depth <= INDEX_DEPTH and blobs.has(descriptor):
        for entry in children(blobs, descriptor):
            yield from listed_manifests(blobs, entry, depth + 1)


def choose_present(blobs: BlobStore, descriptor: Descriptor) -> Descriptor:
    """Return the manifest for this host below *descriptor*, or when it is missing, the first that is not.

    Raises:
        ImageNotFound: all are missing.
    """
    if descriptor.media_type not in media.INDEXES:
        return descriptor
    try:
        chosen = choose_manifest(blobs, descriptor)
    except ImageNotFound:
        chosen = None
    if chosen is not None and blobs.has(chosen):
        return chosen
    for entry in listed_manifests(blobs, descriptor):
        # "unknown" is the platform of entries that are not images, such as attestations.
        if blobs.has(entry) and entry.platform is not None and entry.platform.os != "unknown":
            return entry
    raise ImageNotFound(f"the store has no image of index {descriptor.digest}", hint="pull it for a platform")


def whole_or_present(blobs: BlobStore, descriptor: Descriptor) -> Descriptor:
    """Return *descriptor*, or for an incomplete index the image that `choose_present` returns."""
    if descriptor.media_type not in media.INDEXES or is_whole(blobs, descriptor):
        return descriptor
    return choose_present(blobs, descriptor)


def disk_size(blobs: BlobStore, descriptor: Descriptor) -> int:
    """Return the size of the blobs of an image or index that exist, each once; a damaged document names none."""
    return sum(present_sizes(blobs, descriptor).values())


def present_sizes(blobs: BlobStore, descriptor: Descriptor) -> dict[Digest, int]:
    """Return the size of each blob of an image or index that exists."""
    sizes: dict[Digest, int] = {}
    waiting = [descriptor]
    while waiting:
        item = waiting.pop()
        if item.digest not in sizes and blobs.has(item):
            sizes[item.digest] = item.size
            with suppress(OciError):
                waiting += children(blobs, item)
    return sizes
