"""Raw deflate (RFC 1951) by ISA-L and zlib: blocks that are compressed on their own, and gzip members that are read.

The only import of isal.
"""

import zlib
from collections.abc import Callable, Iterator
from typing import Any, cast

from pybuild.builder.oci.errors import LayerError
from pybuild.builder.oci.streams.pipeline import PIECE
from pybuild.builder.oci.streams.reading import BufferedSource

Block = bytes | memoryview
Parts = tuple[bytes, ...]

# Members can be tiny: what is handed to the library begins small, so that little of it is given back.
_FIRST_STEP = 4 << 10
_STEP = 256 << 10
# What is compressed of each quarter of a block, and what it must shrink to, for all of it to be worth the time.
_PROBE = 8 << 10
_WORTH_IT = 0.98
# The length of a stored block is a number of 16 bits.
_STORED = 0xFFFF
# The least that ISA-L enters into its table of matches by the code for the end of a stream.
_HEAD = 4


def crc32() -> Callable[[Block, int], int]:
    """Return the function that continues a CRC-32."""
    from isal import isal_zlib

    return cast("Callable[[Block, int], int]", isal_zlib.crc32)


def of_blocks(level: int) -> Callable[[Block], Parts]:
    """Return the function that compresses a block to whole bytes of raw deflate without a last block."""
    if not 1 <= level <= 3:
        # Levels of zlib are chosen for the smallest size, so there every block is compressed.
        return lambda block: _compress(zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS), block)

    def compress_or_store(block: Block) -> Parts:
        view = memoryview(block)
        eighth = len(view) // 8
        # From the middle of each quarter: at the ends of a block are headers, and ends of other files.
        probe = b"".join(view[at * eighth :][:_PROBE] for at in (1, 3, 5, 7))
        shrinks = sum(map(len, _by_isal(level, probe))) < len(probe) * _WORTH_IT
        return _by_isal(level, view) if shrinks else _stored(view)

    return compress_or_store


def _by_isal(level: int, block: Block) -> Parts:
    """Return *block* compressed by ISA-L, as bytes that depend on *block* and *level* alone.

    The first bytes are a stream block of their own, because of a fault in ISA-L (seen in 2.32.1): the assembly
    code of levels 1 and 2 that begins a stream of more than 16 bytes computes the hash of the third position from a
    register that it has not set, which holds the address of the stream. One slot of the table of matches is
    overwritten, and where that is the slot of the first bytes, a later match with them is not found. About one block
    in 8,000 was so compressed to other bytes. The code that ends a stream does not have the fault, and a sync flush of
    so few bytes goes there.
    """
    from isal import isal_zlib

    compressor = isal_zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    return _compress(compressor, block[:_HEAD]) + _compress(compressor, block[_HEAD:])


def _compress(compressor: Any, block: Block) -> Parts:
    # Not joined: that takes as long as to compress them, for its memory is new to the process.
    return compressor.compress(block), compressor.flush(zlib.Z_SYNC_FLUSH)


def _stored(block: memoryview) -> Parts:
    """Return *block* as deflate that compresses nothing (RFC 1951, section 3.2.4)."""
    parts: list[Block] = []
    for at in range(0, len(block), _STORED):
        part = block[at : at + _STORED]
        parts += (b"\0", len(part).to_bytes(2, "little"), (len(part) ^ 0xFFFF).to_bytes(2, "little"), part)
    return (b"".join(parts),)


def inflate_member(source: BufferedSource) -> Iterator[bytes]:
    """Return the content of the gzip member at the position of *source*, piece by piece. What follows it stays there.

    Raises:
        LayerError: the member is damaged or truncated.
    """
    from isal import igzip_lib

    damaged = cast("type[Exception]", igzip_lib.IsalError)  # its stub calls the class an instance
    inflater = igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_GZIP)
    step = _FIRST_STEP
    while not inflater.eof:
        data = memoryview(b"")
        if inflater.needs_input:
            data = source.view(step)
            step = min(2 * step, _STEP)
            if not data:
                raise LayerError("gzip data ends in the middle")
        try:
            piece = inflater.decompress(data, PIECE)
        except damaged as error:
            raise LayerError(f"damaged gzip data: {error}") from error
        if piece:
            yield piece
    source.back(len(inflater.unused_data))
