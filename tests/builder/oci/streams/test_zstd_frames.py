"""The frames and blocks of a zstd stream."""

import io

import pytest
import zstandard

from pybuild.builder.oci.errors import LayerError
from pybuild.builder.oci.streams.reading import BufferedSource
from pybuild.builder.oci.streams.zstd_frames import MAGIC, frame_parts, is_skippable, is_zstd, skip_frame

_SKIPPABLE = b"\x5a\x2a\x4d\x18"


def source(data: bytes, piece: int = 7) -> BufferedSource:
    return BufferedSource(io.BytesIO(data), piece)


@pytest.mark.parametrize("checksum", [True, False])
@pytest.mark.parametrize("sized", [True, False])
def test_the_parts_of_a_frame_are_its_bytes_and_the_next_frame_stays(checksum: bool, sized: bool) -> None:
    content = bytes(range(256)) * 2000
    packer = zstandard.ZstdCompressor(write_checksum=checksum, write_content_size=sized)
    packed = packer.compress(content)
    stream = source(packed + b"next")
    parts = list(frame_parts(stream))
    assert b"".join(parts) == packed
    assert len(parts) > 2
    assert stream.take(10) == b"next"


def test_what_a_block_makes_is_bounded() -> None:
    packed = zstandard.ZstdCompressor().compress(bytes(10 << 20))
    unpacker = zstandard.ZstdDecompressor().decompressobj()
    assert max(len(unpacker.decompress(part)) for part in frame_parts(source(packed, 1 << 16))) <= 128 << 10


@pytest.mark.parametrize("cut", [3, 5, 9, 20])
def test_a_frame_that_stops_in_the_middle_is_an_error(cut: int) -> None:
    packed = zstandard.ZstdCompressor().compress(b"content of a frame, not very long")
    with pytest.raises(LayerError, match="in the middle of a frame"):
        list(frame_parts(source(packed[:cut])))


def test_a_block_of_no_known_type_is_an_error() -> None:
    header = MAGIC + b"\x20\x05"  # a single segment of five bytes
    with pytest.raises(LayerError, match="invalid block"):
        list(frame_parts(source(header + (1 | 3 << 1 | 5 << 3).to_bytes(3, "little") + b"12345")))


def test_a_skippable_frame_is_passed_over() -> None:
    stream = source(_SKIPPABLE + (20).to_bytes(4, "little") + bytes(20) + MAGIC)
    skip_frame(stream)
    assert stream.take(4) == MAGIC
    with pytest.raises(LayerError, match="skippable"):
        skip_frame(source(_SKIPPABLE + (20).to_bytes(4, "little") + bytes(19)))


def test_the_first_four_bytes_tell() -> None:
    assert is_zstd(MAGIC)
    assert is_zstd(_SKIPPABLE)
    assert not is_zstd(b"\x1f\x8b\x08\x00")
    assert not is_skippable(MAGIC)
    assert not is_skippable(_SKIPPABLE[:3])
