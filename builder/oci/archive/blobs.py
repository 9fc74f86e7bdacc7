"""An OCI layout in an archive, extracted unchanged: no digest changes, unlike in `archive.load`.

The archive is read once from its beginning to its end; every file of ``blobs/`` is compared with its name.
"""

from pybuild.builder.oci.archive.files import named_digest
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import InvalidImage
from pybuild.builder.oci.json_documents import DOCUMENT_LIMIT
from pybuild.builder.oci.model import Index
from pybuild.builder.oci.streams.compression import decompressing
from pybuild.builder.oci.streams.reading import Readable
from pybuild.builder.oci.streams.verified import PIECE
from pybuild.builder.oci.tar.entry import EntryKind
from pybuild.builder.oci.tar.reader import TarReader


def take_blobs(blobs: BlobStore, stream: Readable) -> Index:
    """Put the blobs of an archive, itself plain or compressed, into *blobs* and return its ``index.json``.

    Symlinks are skipped: a layout has none.

    Raises:
        InvalidImage: it is not an OCI layout.
        LayerError: it is not a tar archive, or is damaged.
        DigestMismatch: a blob does not have the digest of its name.
    """
    index: bytes | None = None
    for entry, data in TarReader(decompressing(stream)):
        if entry.kind is not EntryKind.FILE:
            continue
        if entry.path == "index.json":
            index = data.read(DOCUMENT_LIMIT + 1)
        elif (digest := named_digest(entry.path)) is not None:
            _take(blobs, data, digest)
    if index is None:
        raise InvalidImage(
            "this is not an OCI archive: it has no index.json",
            hint="use docker-archive: for archives of older Docker versions",
        )
    return Index.from_json(index, "index.json")


def _take(blobs: BlobStore, data: Readable, digest: Digest) -> None:
    with blobs.writer(digest.algorithm) as writer:
        while piece := data.read(PIECE):
            writer.write(piece)
        writer.commit(digest)
