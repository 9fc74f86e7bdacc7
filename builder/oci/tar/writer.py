"""Writing a tar archive as a stream of blocks of 1 MiB."""

import os
from collections.abc import Callable, Iterable, Iterator

from pybuild.builder.oci.errors import LayerError
from pybuild.builder.oci.limits import DEFAULT_LIMITS, MAX_NAME, MAX_XATTR, MAX_XATTR_NAME, has_long_name
from pybuild.builder.oci.streams.blocks import Blocks
from pybuild.builder.oci.streams.compression import Sink
from pybuild.builder.oci.tar.entry import BLOCK, Entry, clean_path, path_bytes
from pybuild.builder.oci.tar.header import encode_header, padding
from pybuild.runtime.paths import MAX_PATH
from pybuild.runtime.paths.sparse import data_ranges, has_holes
from pybuild.runtime.stopping import check

_SMALL = 64 << 10
"""A file of up to so many bytes is read at once, and written together with its header."""
_HOLE_STEP = 16 << 20
"""Bytes of a hole that are written before the progress is reported again."""
_SHORT = MAX_NAME // 4
"""A path of so many characters has no name that is too long, in whatever script."""
_END = bytes(2 * BLOCK)

Parts = Iterator[tuple[int, memoryview]]
"""(offset in the file, data) in ascending order; what is left out between them is zero."""


Watch = Callable[[str, int, int], None]
"""Takes how far a file that is not small has been written: (path, bytes done, bytes in all)."""


def report_nothing(_path: str, _done: int, _size: int) -> None:
    """Report nothing."""


class TarWriter:
    """Writes entries in the order given. The sink may keep the blocks that it gets: they do not change afterwards."""

    def __init__(self, sink: Sink, watch: Watch = report_nothing, *, dotted: bool = False) -> None:
        """With *dotted* all paths begin with ``./``, as those that tar(1) writes for a directory."""
        self._blocks = Blocks(sink)
        self._watch = watch
        self._before = "./" if dotted else ""

    def add(self, entry: Entry, data: int | bytes | Parts | None = None) -> None:
        """Write *entry* and, for a file, its data: bytes, parts, or a descriptor that is read from its beginning on.

        A path that is not clean is cleaned as `clean_path` does.

        Raises:
            LayerError: the data has not *entry.size* bytes, as the file was changed while it was read; or a reader
                would refuse the entry.
        """
        path = entry.path
        if len(path) > (MAX_NAME if path.isascii() else _SHORT) or entry.linkname or entry.xattrs:
            _check_writable(entry)
        if "/." in path or "//" in path or path[:1] in {"/", "."} or path[-1:] == "/":
            entry = entry._replace(path=clean_path(path))
        if self._before and entry.path:
            entry = entry._replace(path=self._before + entry.path)
        header = encode_header(entry)
        size = entry.size
        if data is not None and not isinstance(data, bytes) and (size > _SMALL or not isinstance(data, int)):
            self._blocks.write(header)
            if not isinstance(data, int):
                self._join(entry, data)
            elif has_holes(os.fstat(data)):
                self._copy_sparse(entry, data)
            else:
                self._copy(entry, data, size)
            self._blocks.write(padding(size))
            self._watch(entry.path, size, size)
            return
        check()
        # One byte more than expected is requested, to notice a file that has grown.
        content = os.read(data, size + 1) if isinstance(data, int) else data or b""
        if len(content) != size:
            raise _changed(entry)
        self._blocks.write(header + content + padding(size) if size else header)

    @property
    def position(self) -> int:
        """The length of the archive so far, in bytes."""
        return self._blocks.position

    def splice(self, parts: Iterable[bytes | memoryview]) -> None:
        """Write whole entries copied from another archive: *parts*, which must not change afterwards."""
        for part in parts:
            check()
            self._blocks.write(part)

    def _copy(self, entry: Entry, fd: int, end: int, start: int = 0) -> None:
        """Read the data straight into the blocks."""
        blocks = self._blocks
        while start < end:
            self._check(entry, start)
            count = os.preadv(fd, [blocks.room()[: end - start]], start)
            if not count:
                raise _changed(entry)
            blocks.advance(count)
            start += count
        # A file that has grown is not the one that its header describes.
        if end == entry.size and os.pread(fd, 1, end):
            raise _changed(entry)

    def _copy_sparse(self, entry: Entry, fd: int) -> None:
        """Read what is not a hole: the archive is the same as if all were data."""
        at = 0
        for start, end in data_ranges(fd, entry.size):
            self._hole(entry, at, start)
            self._copy(entry, fd, end, start)
            at = end
        self._hole(entry, at, entry.size)
        if os.fstat(fd).st_size != entry.size:
            raise _changed(entry)

    def _join(self, entry: Entry, parts: Parts) -> None:
        at = 0
        for offset, part in parts:
            self._check(entry, at)
            self._hole(entry, at, offset)
            self._blocks.write(part)
            at = offset + len(part)
        self._hole(entry, at, entry.size)

    def _hole(self, entry: Entry, at: int, end: int) -> None:
        while at < end:
            self._check(entry, at)
            part = min(end - at, _HOLE_STEP)
            self._blocks.zeros(part)
            at += part

    def _check(self, entry: Entry, at: int) -> None:
        """Report that *entry* is written up to the offset *at*. Raises when the operation was cancelled."""
        check()
        self._watch(entry.path, at, entry.size)

    def close(self) -> None:
        """Write the end of the archive; everything has reached the sink afterwards."""
        self._blocks.write(_END)
        self._blocks.flush()


def _changed(entry: Entry) -> LayerError:
    return LayerError(f"{entry.path!r} does not have the {entry.size} bytes it had: it changes while it is packed")


def _check_writable(entry: Entry) -> None:
    """Raise LayerError when a layer with *entry* could not be read again, here or by others."""
    for path in (entry.path, entry.linkname):
        raw = path_bytes(path)
        if len(raw) > MAX_PATH:
            raise LayerError(f"{path[:60]!r}...: a path of {len(raw)} bytes; a layer holds at most {MAX_PATH}")
        if len(raw) > MAX_NAME and path is entry.path and has_long_name(raw):
            raise LayerError(f"{path[:60]!r}...: it has a name of more than {MAX_NAME} bytes, which no layer holds")
    total = 0
    for name, value in entry.xattrs:
        total += len(name) + len(value)
        if len(path_bytes(name)) > MAX_XATTR_NAME or len(value) > MAX_XATTR or total > DEFAULT_LIMITS.header // 2:
            raise LayerError(f"{entry.path!r}: the extended attribute {name[:60]!r} of {len(value)} bytes is too large")
