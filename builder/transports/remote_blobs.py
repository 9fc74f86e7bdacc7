"""What is in a registry, as if it were in a store: each blob comes when it is opened, and is gone when it is closed."""

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
    """The blobs below *root*, where the documents are, and those that *fetch* brings into *parts* meanwhile.

    Whoever copies the same blob at the same time shares what *parts* has got of it; what was cut off is gone on with by
    the next one.
    """

    def __init__(self, root: Path, parts: BlobStore, fetch: Fetch) -> None:
        super().__init__(root)
        self._parts, self._fetch = parts, fetch

    def open(self, blob: Descriptor | Digest) -> BinaryIO:
        """Open a blob, after it has been brought and verified when it is not here."""
        if isinstance(blob, Digest) or self.has(blob):
            return super().open(blob)
        for _ in range(_ATTEMPTS):
            self._fetch([blob], self._parts)
            try:
                file = self._parts.open(blob)
            except BlobNotFound:
                continue  # another process that wanted it has taken it away in between
            self._parts.remove(blob.digest)
            return file
        raise BlobNotFound(f"blob {blob.digest} is taken away by others again and again")
