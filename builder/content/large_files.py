"""Reading a large file without its holes; a module of its own, because only a new large file needs it."""

import os
from collections.abc import Iterator

from pybuild.runtime.paths.sparse import data_ranges, has_holes
from pybuild.runtime.stopping import check

_PIECE = 1 << 20


def pieces(fd: int, status: os.stat_result) -> Iterator[bytes | memoryview]:
    """Yield the content of the file; a chunk is valid until the next one is requested."""
    buffer, zeros, at = memoryview(bytearray(_PIECE)), bytes(_PIECE), 0
    for start, end in _ranges(fd, status):
        while at < start:
            check()
            yield zeros[: start - at]
            at += min(_PIECE, start - at)
        while at < end and (count := os.preadv(fd, [buffer[: end - at]], at)):
            check()
            yield buffer[:count]
            at += count


def _ranges(fd: int, status: os.stat_result) -> Iterator[tuple[int, int]]:
    size = status.st_size
    if has_holes(status):
        yield from data_ranges(fd, size)
        yield size, size
    else:
        yield 0, size + 1  # one byte more, to notice a file that has grown
