"""Reading bzip2 and xz, which archives of users come in. Layers are never written so."""

from collections.abc import Callable, Iterator
from typing import Any

from pybuild.builder.oci.errors import LayerError
from pybuild.builder.oci.streams.pipeline import PIECE
from pybuild.builder.oci.streams.reading import BufferedSource

_BZIP2, _XZ = b"BZh", b"\xfd7zXZ\0"
HEAD = 6
"""The number of bytes at the beginning that identify the format."""
# `xz -9` needs 65 MiB. An archive that demands more is an attack on the memory of this process.
_XZ_MEMORY = 128 << 20
_STEP = 256 << 10


def older_pieces(source: BufferedSource, head: bytes, members: int) -> Iterator[bytes] | None:
    """Return the content of *source*, which begins with *head*; None when it is neither bzip2 nor xz.

    Raises:
        LayerError: while reading: damaged, truncated, of more than *members* streams, or in need of too much memory.
    """
    if head.startswith(_BZIP2):
        from bz2 import BZ2Decompressor

        return _streams("bzip2", source, BZ2Decompressor, members)
    if head.startswith(_XZ):
        from lzma import FORMAT_XZ, LZMADecompressor

        return _streams("xz", source, lambda: LZMADecompressor(FORMAT_XZ, memlimit=_XZ_MEMORY), members)
    return None


def _streams(name: str, source: BufferedSource, new: Callable[[], Any], members: int) -> Iterator[bytes]:
    count = 0
    while count == 0 or not source.at_end():
        count += 1
        if count > members:
            raise LayerError(f"more than {members} compressed members in one stream")
        yield from _stream(name, source, new())
        if name == "xz":
            _skip_padding(source)


def _stream(name: str, source: BufferedSource, inflater: Any) -> Iterator[bytes]:
    from lzma import LZMAError

    while not inflater.eof:
        data = source.view(_STEP) if inflater.needs_input else b""
        if inflater.needs_input and not data:
            raise LayerError(f"{name} data ends in the middle")
        try:
            piece = inflater.decompress(data, PIECE)
        except (OSError, LZMAError, EOFError) as error:
            raise LayerError(f"damaged {name} data: {error}") from error
        if piece:
            yield piece
    source.back(len(inflater.unused_data))


def _skip_padding(source: BufferedSource) -> None:
    """Pass over zero bytes between streams, which come in fours."""
    while source.peek(4) == bytes(4):
        source.take(4)
