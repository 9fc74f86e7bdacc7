"""The outline of a zstd stream (RFC 8878, section 3.1), walked without decompressing anything.

The library returns all that its input makes in one go, and says nothing when a stream stops in the middle of a frame.
Given one block at a time it can make 128 KiB at most, and a walk over the blocks knows where each frame must end.
"""

from collections.abc import Iterator

from pybuild.builder.oci.errors import LayerError
from pybuild.builder.oci.streams.reading import BufferedSource

MAGIC = b"\x28\xb5\x2f\xfd"
# RFC 8878, 3.1.1.2: the largest block, and the block type that no frame has.
_MAX_BLOCK = 128 << 10
_RESERVED_BLOCK = 3
_DICTIONARY_SIZES = (0, 1, 2, 4)
_CONTENT_SIZES = (0, 2, 4, 8)


def is_zstd(head: bytes) -> bool:
    """Return whether a stream with these first 4 bytes is zstd; it may begin with a skippable frame."""
    return head == MAGIC or is_skippable(head)


def is_skippable(head: bytes) -> bool:
    """Return whether these 4 bytes begin a frame that carries no content."""
    return len(head) == 4 and head[0] & 0xF0 == 0x50 and head[1:] == b"\x2a\x4d\x18"


def skip_frame(source: BufferedSource) -> None:
    """Pass over a skippable frame."""
    rest = int.from_bytes(_exactly(source, 8)[4:], "little")
    while rest:
        part = source.view(rest)
        if not part:
            raise LayerError("zstd data ends in the middle of a skippable frame")
        rest -= len(part)


def frame_parts(source: BufferedSource) -> Iterator[bytes]:
    """Yield one frame: its header, then each block, the last one together with the checksum."""
    magic = _exactly(source, 5)
    descriptor = magic[4]
    single = descriptor >> 5 & 1
    size = _DICTIONARY_SIZES[descriptor & 3] + (_CONTENT_SIZES[descriptor >> 6] or single) + (1 - single)
    yield magic + _exactly(source, size)
    last = False
    while not last:
        header = _exactly(source, 3)
        number = int.from_bytes(header, "little")
        last, kind, size = bool(number & 1), number >> 1 & 3, number >> 3
        if kind == _RESERVED_BLOCK or size > _MAX_BLOCK:
            raise LayerError("zstd data has an invalid block")
        checksum = 4 if last and descriptor >> 2 & 1 else 0
        yield header + _exactly(source, (1 if kind == 1 else size) + checksum)


def _exactly(source: BufferedSource, count: int) -> bytes:
    data = source.take(count)
    if len(data) < count:
        raise LayerError("zstd data ends in the middle of a frame")
    return data
