"""Streams in blocks of one size, and zeros that are known to be zeros."""

from collections.abc import Callable
from functools import cache

from pybuild.builder.oci.streams.pipeline import PIECE

_NO_BLOCK = memoryview(bytearray())
_SMALL = 16 << 10
ZEROS = bytes(PIECE)
"""A whole piece of zeros: the one that stands for the holes of files."""


@cache
def zero_block(size: int) -> bytes:
    """Return the block of *size* zeros, always the same object: what was made of it once can be recalled."""
    return ZEROS if size == PIECE else bytes(size)


class Blocks:
    """Joins what is written to blocks of exactly *size* bytes; only the last one may be shorter.

    The sink may keep each block: it is never touched again. One of whole pieces that are all `ZEROS` is `zero_block`.
    """

    def __init__(self, sink: Callable[[bytes | memoryview], None], size: int = PIECE) -> None:
        self._sink, self._size = sink, size
        self._holds = size % PIECE == 0
        self._given = 0
        """The number of bytes that the sink has got."""
        self._held = 0
        """Zeros at the beginning of the block, in whole pieces, that are not in it yet."""
        self._first = min(size, _SMALL)
        """Bytes that the next block begins with, while it is only written to."""
        self._end()

    def _end(self) -> None:
        # The next block is made when something comes for it, and a first one begins small: most layers of a RUN end in
        # it, and to make one of 1 MiB takes as long as to fill it.
        self._view, self._used = _NO_BLOCK, 0

    def _open(self, end: int) -> memoryview:
        """Return the block with room for *end* bytes at least."""
        if len(self._view) < end:
            length = self._first if end <= self._first else self._size
            self._first = self._size
            grown = memoryview(bytearray(length))
            grown[: self._used] = self._view[: self._used]
            self._view = grown
        return self._view

    def write(self, piece: bytes | memoryview) -> None:
        """Add *piece*, of any length."""
        if piece is ZEROS and self._used == 0 and self._holds:
            self._hold()
            return
        if self._held:
            self._settle()
        used = self._used
        end = used + len(piece)
        if end < self._size:
            self._open(end)[used:end] = piece
            self._used = end
        elif used == 0 and end == self._size:
            self._give(piece)
        else:
            self._write_across(memoryview(piece))

    def _give(self, block: bytes | memoryview) -> None:
        self._given += self._size
        self._sink(block)

    @property
    def position(self) -> int:
        """The number of bytes that were written so far. Not valid after `flush`."""
        return self._given + self._held + self._used

    def _hold(self) -> None:
        self._held += PIECE
        if self._held == self._size:
            self._held = 0
            self._give(zero_block(self._size))

    def _settle(self) -> None:
        """Put the zeros that were held back into the block: it is going to have something else as well."""
        self._end()
        self._open(self._size)  # as it is made, all of it is zero
        self._used, self._held = self._held, 0

    def zeros(self, count: int) -> None:
        """Add *count* zeros; whole blocks of them are always the same object."""
        while count:
            if self._used == 0 and count >= PIECE and self._holds:
                self._hold()
                count -= PIECE
            else:
                part = min(count, self._size - self._used)
                self.room()[:part] = ZEROS[:part]
                self.advance(part)
                count -= part

    def _write_across(self, rest: memoryview) -> None:
        while rest:
            room = self.room()
            part = rest[: len(room)]
            room[: len(part)] = part
            self.advance(len(part))
            rest = rest[len(part) :]

    def room(self) -> memoryview:
        """Return the free part of the current block, for filling it in place; `advance` tells how much was filled."""
        if self._held:
            self._settle()
        return self._open(self._size)[self._used :]

    def advance(self, count: int) -> None:
        """Take *count* bytes that were put into `room`."""
        self._used += count
        if self._used == self._size:
            full = self._view
            self._end()
            self._give(full)

    def flush(self) -> None:
        """Pass the last block to the sink, if there is one."""
        if self._held:
            self._settle()
        if self._used:
            last = self._view[: self._used]
            self._end()
            self._sink(last)
