"""A tar archive of the user as a layer of the store."""

from typing import BinaryIO

from pybuild.builder.errors import RequestError
from pybuild.builder.oci import media
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.layers.layer import Layer, compress
from pybuild.builder.oci.layers.unpack import entries
from pybuild.builder.oci.layers.unpack_whiteouts import whiteout_target
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.oci.streams.compression import decompressing
from pybuild.builder.oci.streams.verified import pieces
from pybuild.builder.request import Compression


def store_archive(blobs: BlobStore, stream: BinaryIO, compression: Compression, shown_name: str) -> Layer:
    """Store the archive as a layer: unchanged, but compressed again. The diff ID is computed on the way.

    *shown_name* names the expected content, for the error about an archive without entries.

    Raises:
        LayerError: it is not an archive, or cannot be unpacked.
        RequestError: it is empty.
    """
    with blobs.writer() as blob:
        diff_id = compress(pieces(decompressing(stream)), compression.algorithm, compression.level, blob)
        name, size = blob.commit()
    media_type = media.oci_layer(compression.algorithm)
    layer = Descriptor(media_type=media_type, digest=name, size=size)
    # The stored blob is read, because a stream can be read only once. A blob that is refused is left to the next prune.
    _check(blobs, layer, shown_name)
    return Layer(descriptor=layer, diff_id=Digest("sha256", diff_id))


def _check(blobs: BlobStore, layer: Descriptor, what: str) -> None:
    """Read the layer like unpacking does, so that an invalid one is refused now and not by a build."""
    with blobs.open(layer) as stream:
        count = 0
        for entry in entries(stream):
            count += 1
            if ".wh." in entry.path:
                whiteout_target(entry.path)
    if not count:
        raise RequestError(f"the archive is empty: expected {what}")
