"""Reading large files: without their holes, and several at a time. Imported only when there is a new large file."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

from pybuild.runtime.paths.sparse import data_ranges, has_holes
from pybuild.runtime.stopping import check

_PIECE = 1 << 20
_P = ParamSpec("_P")
_T = TypeVar("_T")


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


class ReadAhead:
    """A few threads that read files ahead. A context manager: calls that have not started when it ends are dropped."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=True)

    def begin(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> Callable[[], _T]:
        """Start the call, and return a function that waits for its result, or raises its exception."""
        return self._pool.submit(function, *args, **kwargs).result
