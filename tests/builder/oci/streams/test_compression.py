import gzip
import io
import os
import random
import struct
import subprocess
import threading
import zlib

import pytest
import zstandard

from pybuild.builder.oci.errors import LayerError, OciError
from pybuild.builder.oci.limits import Limits
from pybuild.builder.oci.streams.blocks import ZEROS
from pybuild.builder.oci.streams.compression import check_level, decompressing, open_compressor
from tests.helpers.hosts import need_programs

MIB = 1 << 20
ALGORITHMS = ["gzip", "zstd", "uncompressed"]


def sample(size: int) -> bytes:
    """Half of it compresses well, half of it does not."""
    generator = random.Random(size)
    text = b"".join(b"line %d of a file\n" % generator.randrange(1000) for _ in range(size // 40 + 1))
    return (
        (text + generator.randbytes(size))[:size]
        if size < 1000
        else (text[: size // 2] + generator.randbytes(size))[:size]
    )


def compressed(data: bytes, algorithm: str, level: int | None = None, *, threads: int = 2, piece: int = MIB) -> bytes:
    out: list[bytes] = []
    compressor = open_compressor(algorithm, level, lambda block: out.append(bytes(block)), threads=threads)
    for at in range(0, len(data), piece):
        compressor.write(data[at : at + piece])
    compressor.close()
    return b"".join(out)


def expanded(data: bytes, limits: Limits | None = None) -> bytes:
    with decompressing(io.BytesIO(data), limits or Limits()) as reader:
        return reader.read()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("size", [0, 1, 100, MIB - 1, MIB, MIB + 1, 5 * MIB + 12345])
def test_what_was_compressed_comes_back(algorithm: str, size: int) -> None:
    data = sample(size)
    assert expanded(compressed(data, algorithm)) == data


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_bytes_do_not_depend_on_threads_or_on_how_the_data_comes(algorithm: str) -> None:
    data = sample(9 * MIB + 5)
    first = compressed(data, algorithm, threads=1)
    assert compressed(data, algorithm, threads=2, piece=3 * MIB) == first
    assert compressed(data, algorithm, threads=5, piece=77_777) == first


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_bytes_do_not_depend_on_whether_zeros_are_known_to_be_zeros(algorithm: str) -> None:
    pieces = [b"1" * MIB, *[ZEROS] * 13, b"2" * MIB, *[ZEROS] * 5, b"3"]
    out: list[bytes] = []
    compressor = open_compressor(algorithm, None, lambda block: out.append(bytes(block)))
    for piece in pieces:
        compressor.write(piece)
    compressor.close()
    assert b"".join(out) == compressed(b"".join(pieces), algorithm)


@pytest.mark.parametrize("level", range(10))
def test_each_gzip_level_is_one_standard_member(level: int) -> None:
    data = sample(MIB + 200_000)
    packed = compressed(data, "gzip", level)
    inflater = zlib.decompressobj(31)
    assert inflater.decompress(packed) == data
    assert inflater.eof
    assert inflater.unused_data == b""
    assert packed[:10] == b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    assert len(packed) < len(data) or level == 0


def test_other_programs_read_what_we_compress() -> None:
    need_programs(["gzip", "zstd"])
    data = sample(5 * MIB)
    for program, algorithm in (("gzip", "gzip"), ("zstd", "zstd")):
        done = subprocess.run([program, "-dc"], input=compressed(data, algorithm), capture_output=True, check=True)
        assert done.stdout == data


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(b"a" * 5000, mtime=0) + gzip.compress(b"", mtime=0) + gzip.compress(b"b", mtime=0),
        zstandard.compress(b"a" * 5000) + b"\x5f\x2a\x4d\x18\x04\0\0\0junk" + zstandard.compress(b"b"),
        b"\x50\x2a\x4d\x18\0\0\0\0" + zstandard.compress(b"a" * 5000 + b"b"),
        zstandard.ZstdCompressor(write_checksum=True, write_content_size=False).compress(b"a" * 5000 + b"b"),
        zstandard.ZstdCompressor(threads=2).compress(b"a" * 5000 + b"b"),
        zstandard.ZstdCompressor(level=19).compress(b"a" * 5000 + b"b"),
        b"a" * 5000 + b"b",
    ],
)
def test_streams_of_several_members_read_as_one(packed: bytes) -> None:
    assert expanded(packed) == b"a" * 5000 + b"b"


def test_header_fields_of_gzip_are_passed_over() -> None:
    out = io.BytesIO()
    with gzip.GzipFile("a name", "wb", fileobj=out, mtime=5) as file:
        file.write(b"data")
    assert expanded(out.getvalue()) == b"data"


def test_long_zstd_streams_are_walked_block_by_block() -> None:
    data = sample(3 * MIB) + bytes(2 * MIB) + sample(MIB)
    streaming = zstandard.ZstdCompressor(level=1, write_checksum=True).compressobj()
    assert expanded(streaming.compress(data) + streaming.flush()) == data


def damaged() -> list[tuple[str, bytes]]:
    packed = {"gzip": compressed(sample(70_000), "gzip"), "zstd": compressed(sample(70_000), "zstd")}
    cases = []
    for name, data in packed.items():
        cases += [(f"{name} cut at {cut}", data[:cut]) for cut in (5, 8, 11, 500, len(data) - 9, len(data) - 1)]
        cases += [(f"{name} and {len(more)} more", data + more) for more in (b"x", b"\0", bytes(600), b"garbage" * 99)]
    wrong = bytearray(packed["gzip"])
    wrong[-6] ^= 1
    zstd_sum = bytearray(zstandard.ZstdCompressor(write_checksum=True).compress(b"abc" * 1000))
    zstd_sum[-1] ^= 1
    return [
        *cases,
        ("gzip checksum", bytes(wrong)),
        ("gzip deflate", packed["gzip"][:20] + b"\xff" * 30 + packed["gzip"][50:]),
        ("zstd checksum", bytes(zstd_sum)),
        ("zstd reserved block", zstandard.MAGIC_NUMBER.to_bytes(4, "little") + b"\x20\x05" + b"\x07\0\0"),
        ("zstd huge block", zstandard.MAGIC_NUMBER.to_bytes(4, "little") + b"\x20\x05" + b"\xff\xff\xff"),
        ("zstd skippable cut", b"\x50\x2a\x4d\x18\xff\0\0\0abc"),
    ]


@pytest.mark.parametrize("data", [data for _, data in damaged()], ids=[name for name, _ in damaged()])
def test_damaged_streams_are_refused(data: bytes) -> None:
    with pytest.raises(LayerError):
        expanded(data)


def test_a_zstd_window_of_2_gib_is_refused() -> None:
    # Window descriptor: exponent 21 -> 2^31 bytes.
    frame = b"\x28\xb5\x2f\xfd" + b"\x00" + bytes([21 << 3]) + b"\x01\0\0"
    with pytest.raises(LayerError, match="memory"):
        expanded(frame)


def bomb(size: int, algorithm: str) -> bytes:
    zeros = bytes(MIB)
    out: list[bytes] = []
    compressor = open_compressor(algorithm, None, lambda block: out.append(bytes(block)))
    for _ in range(size // MIB):
        compressor.write(zeros)
    compressor.close()
    return b"".join(out)


@pytest.mark.parametrize("algorithm", ["gzip", "zstd"])
def test_a_bomb_is_stopped_at_the_limit(algorithm: str) -> None:
    packed = bomb(256 * MIB, algorithm)
    assert len(packed) < MIB
    sizes: list[int] = []
    reader = decompressing(io.BytesIO(packed), Limits(total=20 * MIB))
    with pytest.raises(LayerError, match="more than"):
        sizes.extend(map(len, iter(lambda: reader.read(8 * MIB), b"")))
    assert sum(sizes) <= 20 * MIB
    assert max(sizes) <= MIB
    with pytest.raises(LayerError, match="to 1"):
        expanded(packed, Limits(ratio=100, ratio_after=20 * MIB))


def test_a_bomb_in_a_bomb_is_unpacked_once() -> None:
    inner = gzip.compress(bytes(MIB))
    assert expanded(gzip.compress(inner)) == inner


def test_a_stream_of_empty_members_ends_at_the_limit() -> None:
    with pytest.raises(LayerError, match="members"):
        expanded(gzip.compress(b"", mtime=0) * 2000, Limits(members=1000))
    assert expanded(gzip.compress(b"", mtime=0) * 2000) == b""
    with pytest.raises(LayerError, match="members"):
        expanded(zstandard.compress(b"") * 2000, Limits(members=1000))


def test_unknown_algorithms_and_levels_are_refused() -> None:
    for algorithm, level in (("xz", None), ("gzip", 10), ("gzip", -1), ("zstd", 0), ("zstd", 23), ("uncompressed", 1)):
        with pytest.raises(OciError):
            check_level(algorithm, level)
    assert [check_level(algorithm, None) for algorithm in ALGORITHMS] == [1, 3, 0]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_sink_that_fails_is_heard_and_leaves_no_thread(algorithm: str) -> None:
    before = threading.active_count()
    calls = []

    def sink(block: bytes | memoryview) -> None:
        calls.append(len(block))
        if len(calls) > 2:
            raise OSError(28, "no space")

    compressor = open_compressor(algorithm, None, sink, threads=2)
    noise = os.urandom(MIB)

    def write_much() -> None:
        for _ in range(200):
            compressor.write(noise)
        compressor.close()

    with pytest.raises(OSError, match="no space"):
        write_much()
    compressor.abort()
    assert threading.active_count() == before


def test_the_size_in_the_trailer_wraps_at_4_gib() -> None:
    packed = compressed(b"abc", "gzip")
    assert struct.unpack("<II", packed[-8:]) == (zlib.crc32(b"abc"), 3)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_what_does_not_shrink_is_stored_and_what_does_is_compressed(level: int) -> None:
    noise = random.Random(level).randbytes(2 * MIB + 70_000)
    assert len(noise) < len(compressed(noise, "gzip", level)) < len(noise) + 300
    assert expanded(compressed(noise, "gzip", level)) == noise
    assert gzip.decompress(compressed(noise, "gzip", level)) == noise
    # A quarter of a block that can be compressed is reason enough to compress the block.
    mixed = noise[: 3 * MIB // 4] + bytes(MIB // 4)
    assert len(compressed(mixed, "gzip", level)) < len(mixed) * 0.8
