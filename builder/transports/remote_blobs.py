"""Blobs of a registry as a blob store: each is fetched when it is opened, and removed when it is closed."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import BlobNotFound
from pybuild.builder.oci.model import Descriptor

_ATTEMPTS = 5

Fetch = Callable[[Sequence[Descriptor], BlobStore], None]


class RemoteBlobs(BlobStore):
    """The blobs below *root*, which has the documents, and those that *fetch* downloads into *parts*.

    Several processes that copy the same blob at the same time share the download in *parts*. An interrupted download
    is resumed by the next copy.
    """

    def __init__(self, root: Path, parts: BlobStore, fetch: Fetch) -> None:
        super().__init__(root)
        self._parts, self._fetch = parts, fetch

    def open(self, blob: Descriptor | Digest) -> BinaryIO:
        """Open a blob, which is fetched and verified first when it is missing."""
        if isinstance(blob, Digest) or self.has(blob):
            return super().open(blob)
        for _ in range(_ATTEMPTS):
            self._fetch([blob], self._parts)
            try:
                file = self._parts.open(blob)
            except BlobNotFound:
                continue  # another process that fetched it removed it in between
            self._parts.remove(blob.digest)
            return file
        raise BlobNotFound(f"blob {blob.digest} is removed by other processes again and again")
