"""Writing a tar archive as a stream of blocks of 1 MiB."""

import os

from builder.oci.compression import Sink
from builder.oci.errors import LayerError
from builder.oci.limits import MAX_NAME, check_writable
from builder.oci.pipeline import Blocks
from builder.oci.tar_entry import BLOCK, Entry, clean_path
from builder.oci.tar_header import encode_header, padding

_SMALL = 64 << 10
_SHORT = MAX_NAME // 4
"""A path of so many characters has no name that is too long, in whatever script."""
_END = bytes(2 * BLOCK)


class TarWriter:
    """Writes entries in the order given. Each block that reaches the sink is the sink's to keep."""

    def __init__(self, sink: Sink) -> None:
        self._blocks = Blocks(sink)

    def add(self, entry: Entry, data: int | bytes | None = None) -> None:
        """Write *entry* and, for a file, its data: bytes, or a descriptor that is read from its position on.

        A path that is not clean is cleaned as `clean_path` does.

        Raises:
            LayerError: the data has not *entry.size* bytes, as the file was changed while it was read; or a reader
                would refuse the entry.
        """
        path = entry.path
        if len(path) > (MAX_NAME if path.isascii() else _SHORT) or entry.linkname or entry.xattrs:
            check_writable(entry)
        if "/." in path or "//" in path or path[:1] in {"/", "."} or path[-1:] == "/":
            entry = entry._replace(path=clean_path(path))
        header = encode_header(entry)
        size = entry.size
        if isinstance(data, int) and size > _SMALL:
            self._blocks.write(header)
            self._copy(entry, data)
            self._blocks.write(padding(size))
            return
        # One byte more than expected is asked for, to notice a file that has grown.
        content = os.read(data, size + 1) if isinstance(data, int) else data or b""
        if len(content) != size:
            raise _changed(entry)
        self._blocks.write(header + content + padding(size) if size else header)

    def _copy(self, entry: Entry, fd: int) -> None:
        """Read the data straight into the blocks."""
        blocks, rest = self._blocks, entry.size
        while rest:
            count = os.readv(fd, [blocks.room()[:rest]])
            if not count:
                raise _changed(entry)
            blocks.advance(count)
            rest -= count
        if os.read(fd, 1):
            raise _changed(entry)

    def close(self) -> None:
        """Write the end of the archive; everything has reached the sink afterwards."""
        self._blocks.write(_END)
        self._blocks.flush()


def _changed(entry: Entry) -> LayerError:
    return LayerError(f"{entry.path!r} does not have the {entry.size} bytes it had: it changes while it is packed")
