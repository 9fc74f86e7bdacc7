"""Readers that verify: content is hashed while it is read, and compared with its digest and size at its end."""

import hashlib
import io
from collections.abc import Iterator
from typing import BinaryIO, cast

from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import DigestMismatch, SizeMismatch
from pybuild.builder.oci.streams.reading import Readable

PIECE = 1024 * 1024
"""How much is moved at once: large enough that hashing runs outside the interpreter lock, small enough for memory."""


class Verifier:
    """Takes content piece by piece and checks it against *digest* and *size*."""

    def __init__(self, digest: Digest, size: int | None) -> None:
        self._expected, self._size = digest, size
        self._hash = hashlib.new(digest.algorithm)
        self._seen = 0

    def update(self, piece: bytes | memoryview) -> None:
        """Add a piece. Raises SizeMismatch as soon as there is more than there should be."""
        self._seen += len(piece)
        if self._size is not None and self._seen > self._size:
            raise SizeMismatch(f"{self._expected} is longer than the {self._size} bytes it should have")
        self._hash.update(piece)

    def finish(self) -> None:
        """Check the whole content, at its end. Raises SizeMismatch or DigestMismatch."""
        if self._size is not None and self._seen != self._size:
            raise SizeMismatch(f"{self._expected} has {self._seen} bytes instead of {self._size}")
        found = Digest(self._expected.algorithm, self._hash.hexdigest())
        if found != self._expected:
            raise DigestMismatch(f"content of {self._expected} has the digest {found}")


class _VerifyingReader(io.RawIOBase):
    def __init__(self, source: BinaryIO, verifier: Verifier) -> None:
        self._source, self._verifier = source, verifier

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            return b"".join(pieces(cast("BinaryIO", self)))
        piece = self._source.read(size)
        if piece:
            self._verifier.update(piece)
        # Reading 0 bytes returns none before the end as well.
        elif size:
            self._verifier.finish()
        return piece

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # narrower than Buffer
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        self._source.close()
        super().close()


def verifying(source: BinaryIO, digest: Digest, size: int | None) -> BinaryIO:
    """Return a reader of *source* that raises at the end unless digest and size are the expected ones.

    What was read before the end is not verified yet: a caller acts on it only after it has seen the end.
    """
    return cast("BinaryIO", _VerifyingReader(source, Verifier(digest, size)))


def pieces(source: Readable) -> Iterator[bytes]:
    """Yield the rest of *source* in pieces of at most 1 MiB."""
    while piece := source.read(PIECE):
        yield piece
