"""The data of one entry of an archive, as it is read: in pieces, as a stream, or at once."""

from collections.abc import Generator, Iterator

from pybuild.builder.oci.errors import LayerError
from pybuild.builder.oci.streams.pipeline import PIECE
from pybuild.builder.oci.streams.reading import BufferedSource, PieceReader
from pybuild.builder.oci.tar.entry import BLOCK
from pybuild.builder.oci.tar.sparse import Segments

_ZEROS = memoryview(bytes(PIECE))


class EntryData:
    """The data of the entry that was yielded with it. It can be read until the next entry is requested."""

    def __init__(self, source: BufferedSource, stored: int, segments: Segments, size: int) -> None:
        self._source, self._segments, self._size = source, segments, size
        self._left = stored
        self._padding = -stored % BLOCK
        self._file: PieceReader | None = None

    def pieces(self) -> Iterator[tuple[int, memoryview]]:
        """Yield (offset in the file, data) in ascending order; what is left out between them is zero."""
        for start, length in self._segments:
            offset, end = start, start + length
            while offset < end:
                part = self._source.view(end - offset)
                if not part:
                    raise LayerError("the archive ends in the middle of a file")
                self._left -= len(part)
                yield offset, part
                offset += len(part)

    def whole(self, limit: int) -> bytes | None:
        """Return all data of a file of at most *limit* bytes that has no holes; None for others.

        Not to be mixed with `pieces`.
        """
        if self._size > limit or self._segments != ((0, self._size),):
            return None
        data = self._source.take(self._size)
        if len(data) < self._size:
            raise LayerError("the archive ends in the middle of a file")
        self._left = 0
        return data

    def read(self, size: int = -1) -> bytes:
        """Return *size* bytes of the file, holes filled; fewer only at its end; all the rest when *size* is negative.

        Not to be mixed with `pieces`.
        """
        if self._file is None:
            self._file = PieceReader(self._filled())
        if size < 0:
            return self._file.readall()
        parts = []
        while size and (part := self._file.read(size)):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _filled(self) -> Generator[bytes | memoryview]:
        at = 0
        for offset, part in self.pieces():
            yield from _holes(offset - at)
            yield part
            at = offset + len(part)
        yield from _holes(self._size - at)

    def finish(self) -> None:
        """Pass over what was not read, and the padding."""
        rest = self._left + self._padding
        self._left = self._padding = 0
        if rest and not self._source.skip(rest):
            raise LayerError("the archive ends in the middle of a file")


def _holes(size: int) -> Iterator[memoryview]:
    while size:
        part = _ZEROS[:size]
        yield part
        size -= len(part)
