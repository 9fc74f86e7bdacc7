"""Blocks compressed to raw deflate."""

import random
import zlib
from itertools import count

import pytest
from isal import isal_zlib

from pybuild.builder.oci.streams import deflate

LEVELS = range(10)


def inflate(parts: deflate.Parts) -> bytes:
    return zlib.decompress(b"".join(parts) + b"\x03\0", -zlib.MAX_WBITS)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 16, 17, 2048, 1 << 20])
def test_a_block_can_be_inflated(level: int, size: int) -> None:
    block = (b"a line of some text\n" * (size // 20 + 1))[:size]
    assert inflate(deflate.of_blocks(level)(block)) == block


@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_block_of_noise_is_stored(level: int) -> None:
    block = random.Random(1).randbytes(1 << 20)
    (stored,) = deflate.of_blocks(level)(block)
    assert inflate((stored,)) == block
    assert len(stored) == len(block) + 5 * 17  # a header of five bytes for each 65,535


def test_a_view_is_compressed_like_bytes() -> None:
    block = b"0123456789" * 1000
    assert deflate.of_blocks(1)(memoryview(block)) == deflate.of_blocks(1)(block)


def crc32c(word: bytes) -> int:
    """Return what the crc32 instruction of x86 makes of 0 and *word*."""
    value = int.from_bytes(word, "little")
    for _ in range(32):
        value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value


def with_slot(slot: int, slots: int) -> bytes:
    """Return four bytes for which ISA-L uses the entry *slot* of its table of matches, which has *slots*."""
    return next(word for number in count(1 << 24) if crc32c(word := number.to_bytes(4, "little")) % slots == slot)


@pytest.mark.parametrize(("level", "slots"), [(1, 8 << 10), (2, 32 << 10)])
def test_the_address_of_a_stream_does_not_matter(level: int, slots: int, monkeypatch: pytest.MonkeyPatch) -> None:
    streams = [isal_zlib.compressobj(level, zlib.DEFLATED, -15) for _ in range(8)]
    last = next(each for each in reversed(streams) if id(each) & 0xFFFF < 0xFF00)
    used = iter([next(each for each in streams if each is not last), last])
    # A word twice, whose entry the library overwrites for a stream at this address.
    word = with_slot(crc32c((id(last) >> 16 & 0xFFFFFFFF).to_bytes(4, "little")) % slots, slots)
    block = (word + bytes(range(64))).ljust(512, b"\0") + (word + b"end").ljust(512, b"\0")
    wanted = deflate.of_blocks(level)(block)
    monkeypatch.setattr(isal_zlib, "compressobj", lambda *_arguments: next(used))
    assert deflate.of_blocks(level)(block) == wanted
