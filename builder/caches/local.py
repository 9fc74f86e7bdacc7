"""A cache in a directory: an OCI image layout."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pybuild.builder.caches.document import Remembered
from pybuild.builder.caches.manifest import read_caches, write_manifest
from pybuild.builder.caches.places import LocalCache, Status, Tell, ignore_progress
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.documents import describe
from pybuild.builder.oci.errors import ImageNotFound
from pybuild.builder.oci.image import reachable
from pybuild.builder.oci.json_documents import DOCUMENT_LIMIT as MANIFEST_LIMIT
from pybuild.builder.oci.layout import Layout
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.store.free_space import writing
from pybuild.builder.store.store import Store
from pybuild.runtime import stopping
from pybuild.runtime.paths.filelock import exclusive, shared

_AT_ONCE = 4
_WRITERS = ".writers"
"""The lock of a directory: shared for writing to it, exclusive for removing from it."""


class LocalPlace:
    """The directory of a `LocalCache`."""

    def __init__(self, spec: LocalCache) -> None:
        self._directory, self._spec = spec.directory, spec
        self.name = str(self._directory)

    def load(self, store: Store, tell: Tell = ignore_progress) -> Remembered:
        """Read the documents in place; nothing is copied to *store*."""
        del store, tell
        blobs = BlobStore(self._directory)
        return read_caches(self._descriptor(blobs), blobs)

    def fetch(self, blobs: Iterable[Descriptor], store: Store, status: Status) -> None:
        """Copy layers into the store."""
        _copy(BlobStore(self._directory), store.blobs, blobs, status)

    def keep(self, remembered: Remembered, store: Store, status: Status) -> None:
        """Copy missing blobs; the tag moves when all of them are there."""
        with writing(self._directory):
            self._write(remembered, store, status)

    def _write(self, remembered: Remembered, store: Store, status: Status) -> None:
        there = BlobStore(self._directory)
        with _layout_directory(self._directory), shared(self._directory / _WRITERS):
            _copy(store.blobs, there, remembered.blobs, status)
            Layout(self._directory).tag(self._spec.tag, write_manifest(remembered, there))
        if self._spec.reset:
            with exclusive(self._directory / _WRITERS):
                _sweep(there, [descriptor for _, descriptor in Layout(self._directory).entries()])

    def _descriptor(self, blobs: BlobStore) -> Descriptor:
        if (digest := self._spec.digest) is not None:
            with blobs.open(digest) as file:
                return describe(file.read(MANIFEST_LIMIT), digest)
        found = Layout(self._directory).resolve(self._spec.tag)
        if found is None:
            raise ImageNotFound(f"{self._directory} has no cache {self._spec.tag!r}")
        return found


def _sweep(blobs: BlobStore, tagged: list[Descriptor]) -> None:
    """Remove the blobs that are not reachable from *tagged*. Nothing is removed when a document is unreadable."""
    needed = {item.digest for descriptor in tagged for item in reachable(blobs, descriptor)}
    for digest in list(blobs.digests()):
        if digest not in needed:
            blobs.remove(digest)


@contextmanager
def _layout_directory(directory: Path) -> Iterator[None]:
    directory.mkdir(parents=True, exist_ok=True)
    yield
    with suppress(OSError):  # ENOTEMPTY: another build writes to the same directory
        (directory / "tmp").rmdir()


def _copy(source: BlobStore, target: BlobStore, blobs: Iterable[Descriptor], status: Status) -> None:
    """Copy several blobs at once, each hashed on the way."""

    def one(blob: Descriptor) -> None:
        if not target.has(blob):
            with source.open(blob) as stream:
                target.put_stream(stream, blob, blob.media_type)
        status(str(blob.digest), blob.size, blob.size)

    with stopping.pool(_AT_ONCE) as pool:
        for end in [pool.submit(one, blob) for blob in blobs]:
            end.result()
