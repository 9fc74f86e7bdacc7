r"""The log of a container in Docker's json-file format: one JSON object for each line that the process printed.

Bytes that are not valid UTF-8 are written as lone surrogates (``\udc80`` to ``\udcff``), from which the reader gets the
same bytes back by ``surrogateescape``. Docker replaces such bytes.
"""

import os
import time
from _json import encode_basestring_ascii
from itertools import pairwise

from pybuild.runtime.monitor.state import timestamp

LOG = "json.log"
LONGEST = 16 << 10
"""The most bytes in one object. A longer line takes several, and only the last ends with a newline, as in Docker."""
_STREAMS = {1: b"stdout", 2: b"stderr"}


class JsonLog:
    """Writes what a process prints, which comes in pieces of any size. An incomplete line waits for its end."""

    def __init__(self, directory: int, files: int, size: int) -> None:
        """Append to the log in the open directory *directory*; see `settings.LogFiles` for *files* and *size*."""
        self._directory, self._files, self._limit = directory, files, size
        self._waiting = {1: b"", 2: b""}
        self._fd, self._size = -1, 0
        if files:
            self._open()

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        # The mode that Docker gives it.
        self._fd = os.open(LOG, flags, 0o640, dir_fd=self._directory)
        self._size = os.fstat(self._fd).st_size

    def write(self, stream: int, data: bytes) -> None:
        """Take a piece of what was printed on *stream*, 1 or 2, and write the lines that it completes."""
        if self._files:
            *lines, rest = (self._waiting[stream] + data).split(b"\n")
            pieces = [piece for line in lines for piece in _cut(line + b"\n")]
            *more, self._waiting[stream] = _cut(rest) if len(rest) > LONGEST else (rest,)
            self._append(stream, [*pieces, *more])

    def end(self) -> None:
        """Write the incomplete lines: nothing more will be printed."""
        for stream, rest in self._waiting.items():
            if rest:
                self._append(stream, [rest])
                self._waiting[stream] = b""

    def _append(self, stream: int, pieces: list[bytes]) -> None:
        if not pieces:
            return
        tail = b',"stream":"%s","time":"%s"}\n' % (_STREAMS[stream], timestamp(time.time_ns()).encode())
        waiting: list[bytes] = []
        for entry in (b'{"log":' + _quoted(piece) + tail for piece in pieces):
            # A new file is begun for an object that would make this one too long, also in the middle of a piece.
            if self._limit and self._size and self._size + len(entry) > self._limit:
                self._put(b"".join(waiting))
                self._rotate()
                waiting.clear()
            self._size += len(entry)
            waiting.append(entry)
        self._put(b"".join(waiting))

    def _put(self, entries: bytes) -> None:
        view = memoryview(entries)
        while view:
            try:
                view = view[os.write(self._fd, view) :]
            except OSError:  # a full disk must not end the container: what does not fit is lost
                return

    def _rotate(self) -> None:
        """Rename each file to the next number, which replaces the oldest one, and begin a new file."""
        os.close(self._fd)
        self._size = 0
        names = [LOG, *(f"{LOG}.{number}" for number in range(1, self._files))]
        # The oldest first, since each rename replaces the file that has the new name.
        for old, new in reversed(list(pairwise(names))):
            try:
                os.rename(old, new, src_dir_fd=self._directory, dst_dir_fd=self._directory)
            except FileNotFoundError:  # there have not been so many files yet
                continue
        if self._files == 1:
            os.unlink(LOG, dir_fd=self._directory)
        self._open()


def _cut(line: bytes) -> list[bytes]:
    return [line[at : at + LONGEST] for at in range(0, len(line), LONGEST)]


def _quoted(piece: bytes) -> bytes:
    return encode_basestring_ascii(piece.decode("utf-8", "surrogateescape")).encode()
