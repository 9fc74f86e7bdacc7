"""Part of a blob as the body of a request: read from its file, and again from the start for a retry."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

_PIECE = 128 * 1024
"""Small enough for a slow line to take one before a timeout, large enough to cost little."""


@dataclass(slots=True, kw_only=True)
class FileBody:
    """*size* bytes from *offset*. *sent* is called with the number of bytes sent; it may raise to stop."""

    file: BinaryIO
    offset: int
    size: int
    sent: Callable[[int], None]
    failure: OSError | None = field(default=None, init=False)
    """The error of reading the file, which the sender cannot distinguish from one of the connection."""

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[bytes]:
        at, end = self.offset, self.offset + self.size
        while at < end:
            piece = self._read(at, min(_PIECE, end - at))
            yield piece
            at += len(piece)
            self.sent(at)

    def _read(self, at: int, size: int) -> bytes:
        try:
            piece = os.pread(self.file.fileno(), size, at)
        except OSError as error:
            self.failure = error
            raise
        if not piece:
            self.failure = OSError(f"{self.file.name}: the file was truncated")
            raise self.failure
        return piece
