"""Reading a stream piece by piece: exact counts, a look ahead, and back again."""

import io
from collections.abc import Generator
from typing import Protocol

from pybuild.builder.oci.streams.pipeline import PIECE


class Readable(Protocol):
    """What a stream must offer: up to *size* bytes, none only at its end."""

    def read(self, size: int, /) -> bytes:
        """Return up to *size* bytes."""
        ...


class BufferedSource:
    """A stream with a buffer of one piece; every slice it returns lies in that buffer, nothing is read twice."""

    __slots__ = ("_at", "_buffer", "_piece", "_stream", "read_total")

    def __init__(self, stream: Readable, piece: int = PIECE) -> None:
        self._stream, self._piece = stream, piece
        self._buffer = b""
        self._at = 0
        self.read_total = 0
        """Bytes taken from the stream so far, those in the buffer included."""

    def _fill(self) -> bool:
        self._buffer = self._stream.read(self._piece)
        self._at = 0
        self.read_total += len(self._buffer)
        return bool(self._buffer)

    def take(self, count: int) -> bytes:
        """Return the next *count* bytes; fewer only at the end of the stream."""
        at, end = self._at, self._at + count
        if end <= len(self._buffer):
            self._at = end
            return self._buffer[at:end]
        parts = [self._buffer[at:]]
        missing = count - len(parts[0])
        self._at = len(self._buffer)
        while missing and self._fill():
            parts.append(self._buffer[:missing])
            self._at = len(parts[-1])
            missing -= self._at
        return b"".join(parts)

    def view(self, limit: int) -> memoryview:
        """Return between 1 and *limit* of the next bytes without copying them; empty only at the end."""
        if self._at == len(self._buffer):
            self._fill()
        at = self._at
        part = memoryview(self._buffer)[at : at + limit]
        self._at = at + len(part)
        return part

    def skip(self, count: int) -> bool:
        """Pass over *count* bytes; return whether there were so many."""
        while count > len(self._buffer) - self._at:
            count -= len(self._buffer) - self._at
            if not self._fill():
                return False
        self._at += count
        return True

    def back(self, count: int) -> None:
        """Return the last *count* bytes of the latest `view` to the buffer."""
        self._at -= count

    def peek(self, count: int) -> bytes:
        """Return the next *count* bytes, fewer only at the end, and leave them to be read again."""
        at = self._at
        if at + count <= len(self._buffer):
            return self._buffer[at : at + count]
        head = self.take(count)
        self._buffer = head + self._buffer[self._at :]
        self._at = 0
        return head

    def at_end(self) -> bool:
        """Return whether nothing is left."""
        return self._at == len(self._buffer) and not self._fill()


class PieceReader(io.RawIOBase):
    """A file whose content a generator yields. ``read`` may return less than *size* bytes, none only at the end."""

    def __init__(self, pieces: Generator[bytes] | Generator[bytes | memoryview]) -> None:
        super().__init__()
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Return True. Nothing but reading is supported."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Return up to *size* bytes, all that is left when *size* is negative."""
        if size < 0:
            return self.readall()
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            if isinstance(piece, bytes) and 0 < len(piece) <= size:
                return piece
            self._rest = memoryview(piece)
        part, self._rest = self._rest[:size], self._rest[size:]
        return bytes(part)

    def readall(self) -> bytes:
        """Return all that is left."""
        return b"".join(iter(lambda: self.read(PIECE), b""))

    def readinto(self, target: bytearray | memoryview, /) -> int:  # type: ignore[override] # narrower than Buffer
        """Fill the beginning of *target* and return how much that was."""
        data = self.read(len(target))
        target[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the generator too, so that what it holds is given up at once."""
        self._pieces.close()
        super().close()
