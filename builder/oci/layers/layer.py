"""Writing a layer in one pass: tar stream -> (diff-ID hasher, compressor -> blob), each in threads of its own."""

import hashlib
import posixpath
from array import array
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import BinaryIO, Protocol, Self

from pybuild.builder.oci import media
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import LayerError
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.oci.streams.compression import check_level, open_compressor
from pybuild.builder.oci.streams.pipeline import PipeStage
from pybuild.builder.oci.tar.entry import Entry, EntryKind
from pybuild.builder.oci.tar.writer import Parts, TarWriter, Watch, report_nothing
from pybuild.runtime.values import field, frozen

WHITEOUT_PREFIX = ".wh."
OPAQUE_WHITEOUT = ".wh..wh..opq"


@frozen
class Layer:
    """A stored layer: the blob, and the digest of what the blob holds uncompressed."""

    descriptor: Descriptor
    diff_id: Digest
    nanoseconds: Sequence[int] = field(default=(), compare=False)
    """The nanoseconds of the time of each entry: archives have whole seconds. They are no part of the layer."""


class BlobSink(Protocol):
    """A blob that is being written (`builder.oci.blob_writer.BlobWriter`)."""

    def write(self, piece: bytes | memoryview) -> None:
        """Add *piece* to the end."""
        ...

    def reread(self) -> BinaryIO:
        """Open what was written so far for reading, from its beginning."""
        ...

    def commit(self, expected: Digest | None = None) -> tuple[Digest, int]:
        """Flush the blob, give it its name and return its digest and size."""
        ...


class Blobs(Protocol):
    """A store of blobs (`builder.oci.blobs.BlobStore`)."""

    def writer(self) -> AbstractContextManager[BlobSink]:
        """Begin a new blob; one that is not committed is discarded."""
        ...


class LayerWriter:
    """A layer that is being written: a context manager. A layer that was not committed is discarded at its end.

    The bytes depend on the entries, their order and the compression, never on the machine's cores or the time.
    """

    def __init__(
        self,
        blobs: Blobs,
        compression: str = "gzip",
        level: int | None = None,
        *,
        latest: int | None = None,
        watch: Watch = report_nothing,
    ) -> None:
        """No time in the layer is later than the second *latest*. *watch* gets the progress of each larger file."""
        self.latest = latest
        self._compression, self._level = compression, check_level(compression, level)
        self._blobs = blobs
        self._open = ExitStack()
        self._tar = TarWriter(self._take, watch)
        self.nanoseconds = array("I")
        """The nanoseconds of the times of the entries, in order."""
        self._hash = hashlib.sha256()
        # What is stored uncompressed has its diff ID as digest: the blob writer hashes it already.
        self._hasher = PipeStage[bytes | memoryview](self._hash.update) if compression != "uncompressed" else None

    def __enter__(self) -> Self:
        self._blob = self._open.enter_context(self._blobs.writer())
        self._compressor = open_compressor(self._compression, self._level, self._blob.write)
        self._open.callback(self._compressor.abort)
        if self._hasher:
            self._open.callback(self._hasher.abort)
        return self

    def __exit__(self, *_error: object) -> None:
        self._open.close()

    def _take(self, block: bytes | memoryview) -> None:
        if self._hasher:
            self._hasher.put(block)
        self._compressor.write(block)

    def add(self, entry: Entry, data: int | bytes | Parts | None = None) -> None:
        """Write an entry; see `TarWriter.add`. Raises what the threads behind have raised meanwhile."""
        if self.latest is not None and entry.mtime >= self.latest:
            entry = entry.at(entry.mtime_ns, self.latest)
        self._tar.add(entry, data)
        self.nanoseconds.append(entry.nanoseconds)

    @property
    def position(self) -> int:
        """The length of the archive so far, in bytes."""
        return self._tar.position

    def splice(self, parts: Iterable[bytes | memoryview], times_ns: Iterable[int]) -> None:
        """Write entries copied from another layer with the same ``latest``; *times_ns* are their unlimited times."""
        self._tar.splice(parts)
        if self.latest is not None:
            limit_ns = self.latest * 1_000_000_000
            times_ns = [min(at, limit_ns) for at in times_ns]
        self.nanoseconds.extend([at % 1_000_000_000 for at in times_ns])

    def whiteout(self, path: str) -> None:
        """Hide what lower layers have at *path* (image-spec, layer.md, "Whiteouts")."""
        directory, name = posixpath.split(path)
        self._add_marker(posixpath.join(directory, WHITEOUT_PREFIX + name))

    def opaque(self, path: str) -> None:
        """Hide all that lower layers have below the directory *path*."""
        self._add_marker(posixpath.join(path, OPAQUE_WHITEOUT))

    def _add_marker(self, path: str) -> None:
        self.add(Entry(path=path, kind=EntryKind.FILE, mode=0))

    def commit(self) -> Layer:
        """Finish the archive and store the blob."""
        self._finish()
        digest, size = self._blob.commit()
        diff_id = Digest("sha256", self._hash.hexdigest()) if self._hasher else digest
        media_type = media.oci_layer(self._compression)
        descriptor = Descriptor(media_type=media_type, digest=digest, size=size)
        return Layer(descriptor=descriptor, diff_id=diff_id, nanoseconds=self.nanoseconds)

    def reread(self) -> BinaryIO:
        """Finish the archive and open the blob, which is not stored, for reading. Nothing can be added afterwards."""
        self._finish()
        return self._blob.reread()

    def _finish(self) -> None:
        self._tar.close()
        self._compressor.close()
        if self._hasher:
            self._hasher.close()


def check_name(path: str) -> None:
    """Raise LayerError when *path* would be read as a whiteout: no layer can hold such a file."""
    if path.startswith(WHITEOUT_PREFIX) or "/" + WHITEOUT_PREFIX in path:
        raise LayerError(
            f"{path!r} cannot be stored in a layer", hint="names that begin with .wh. mark deletions there"
        )


def compress(plain: Iterable[bytes], algorithm: str, level: int | None, blob: BlobSink) -> str:
    """Write the tar archive *plain* to *blob*, compressed, and return its SHA-256, which is its diff ID."""
    digest = hashlib.sha256()
    compressor = open_compressor(algorithm, level, blob.write)
    hasher = PipeStage[bytes](digest.update)
    try:
        for piece in plain:
            hasher.put(piece)
            compressor.write(piece)
        compressor.close()
        hasher.close()
    finally:
        compressor.abort()
        hasher.abort()
    return digest.hexdigest()
