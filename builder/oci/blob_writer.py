"""Writing one blob: to a temporary file, which gets the name of the blob when it is complete and on the disk."""

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Self

from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import DigestMismatch

_WRITE_BACK = 8 << 20  # between two requests: few system calls, and little left for the fsync at the end


class BlobWriter:
    """A blob that is being written: a context manager. It is discarded at the end unless it was committed.

    With *is_partial* it keeps what was written instead, so that it can be resumed (`builder.oci.partial_blobs`).
    """

    def __init__(
        self,
        root: Path,
        algorithm: str,
        file: tuple[Path, int],
        claim: Callable[[str], None],
        *,
        is_partial: bool = False,
    ) -> None:
        self._root, self._algorithm, self._claim = root, algorithm, claim
        self._hash = hashlib.new(algorithm)
        self._path, self._fd = file
        self._is_partial = is_partial
        self.size = 0
        """Bytes written so far."""
        self._on_way = 0
        """Bytes whose writeback to the disk was started."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._is_partial and self.size and self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self.discard()

    def recall(self, piece: bytes) -> None:
        """Hash the existing content of the file, before anything is written (`builder.oci.partial_blobs`)."""
        self._hash.update(piece)
        self.size += len(piece)

    def rewind(self) -> None:
        """Discard everything written so far."""
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        self._hash = hashlib.new(self._algorithm)
        self.size = self._on_way = 0

    def write(self, piece: bytes | memoryview) -> None:
        """Append *piece*."""
        self._hash.update(piece)
        self.size += len(piece)
        rest = memoryview(piece)
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError as error:
            # The error of a full disk gets the path that could not be written.
            error.filename = os.fspath(self._path)
            raise
        if self.size - self._on_way >= _WRITE_BACK:
            self._write_back()

    def _write_back(self) -> None:
        """Start writeback of the new bytes; otherwise the fsync at the end has to write all of them.

        POSIX_FADV_DONTNEED does that on Linux. It would also drop the pages from the cache, but not dirty ones.
        """
        os.posix_fadvise(self._fd, self._on_way, self.size - self._on_way, os.POSIX_FADV_DONTNEED)
        self._on_way = self.size

    def reread(self) -> BinaryIO:
        """Open what was written so far for reading, from its beginning."""
        return self._path.open("rb")

    def commit(self, expected: Digest | None = None) -> tuple[Digest, int]:
        """Flush the blob, give it its name and return its digest and size.

        Raises:
            DigestMismatch: the content is not the *expected* one; nothing was stored.
        """
        digest = Digest(self._algorithm, self._hash.hexdigest())
        if expected not in {None, digest}:
            raise DigestMismatch(f"content of {expected} has the digest {digest}")
        self._claim(str(digest))  # before it has its name, so that no removal takes it in between
        os.fsync(self._fd)
        self._publish(digest)
        return digest, self.size

    def discard(self) -> None:
        """Discard the blob unless it was committed. Idempotent."""
        if self._fd < 0:
            return
        with suppress(FileNotFoundError):
            self._path.unlink()
        os.close(self._fd)
        self._fd = -1

    def _publish(self, digest: Digest) -> None:
        """Rename over a copy that may exist: it has the same content, or is damaged and repaired by this."""
        directory = self._root / "blobs" / digest.algorithm
        try:
            os.rename(self._path, directory / digest.hex)
        except FileNotFoundError:
            directory.mkdir(parents=True, exist_ok=True)
            os.rename(self._path, directory / digest.hex)
            _flush_directory(directory.parent)  # the directories are new as well
            _flush_directory(self._root)
        os.close(self._fd)
        self._fd = -1
        _flush_directory(directory)


def _flush_directory(directory: Path) -> None:
    """Flush the names in *directory*, so that they survive a power failure."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
