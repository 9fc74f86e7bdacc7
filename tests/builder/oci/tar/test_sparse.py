"""Maps of sparse files."""

import io
import subprocess
from pathlib import Path

import pytest

from pybuild.builder.oci.errors import LayerError
from pybuild.builder.oci.limits import Limits
from pybuild.builder.oci.streams.reading import BufferedSource
from pybuild.builder.oci.tar.reader import TarReader
from pybuild.builder.oci.tar.sparse import SparseMap, checked, read_gnu, read_pax
from tests.builder.oci.tar.test_reader import read
from tests.helpers import rawtar
from tests.helpers.hosts import need_programs
from tests.helpers.rawtar import archive, base256, file, header, old_gnu, pax

_LIMIT = 100


def source(data: bytes = b"") -> BufferedSource:
    return BufferedSource(io.BytesIO(data))


def gnu(*segments: tuple[int, int], size: int, more: bool = False) -> bytes:
    """Return a header block of GNU's old format with up to four segments."""
    area = b"".join(b"%011o\0%011o\0" % segment for segment in segments).ljust(96, b"\0")
    return bytes(386) + area + (b"\1" if more else b"\0") + b"%011o\0" % size + bytes(17)


def test_the_map_of_gnu_is_in_the_header() -> None:
    found = read_gnu(source(), gnu((0, 10), (512, 5), size=1000), 15, _LIMIT)
    assert found == SparseMap(1000, 15, ((0, 10), (512, 5)))


def test_the_map_of_gnu_goes_on_in_further_blocks() -> None:
    first = [(at * 100, 1) for at in range(4)]
    block = b"".join(b"%011o\0%011o\0" % (at * 100, 1) for at in range(4, 10)).ljust(504, b"\0") + bytes(8)
    found = read_gnu(source(block + b"data"), gnu(*first, size=1000, more=True), 10, _LIMIT)
    assert found.segments == tuple((at * 100, 1) for at in range(10))
    with pytest.raises(LayerError, match="in the middle of a sparse map"):
        read_gnu(source(block[:100]), gnu(*first, size=1000, more=True), 10, _LIMIT)
    with pytest.raises(LayerError, match="more than 9 pieces"):
        read_gnu(source(block), gnu(*first, size=1000, more=True), 10, 9)


def test_the_map_of_version_0_0_is_in_repeated_records() -> None:
    records = [
        (b"GNU.sparse.size", b"100"),
        (b"GNU.sparse.numblocks", b"2"),
        (b"GNU.sparse.offset", b"0"),
        (b"GNU.sparse.numbytes", b"3"),
        (b"GNU.sparse.offset", b"50"),
        (b"GNU.sparse.numbytes", b"4"),
    ]
    assert read_pax(source(), records, 7, _LIMIT) == SparseMap(100, 7, ((0, 3), (50, 4)))


def test_the_map_of_version_0_1_is_one_record() -> None:
    records = [(b"GNU.sparse.size", b"100"), (b"GNU.sparse.map", b"0,3,50,4")]
    assert read_pax(source(), records, 7, _LIMIT) == SparseMap(100, 7, ((0, 3), (50, 4)))
    empty = [(b"GNU.sparse.size", b"100"), (b"GNU.sparse.map", b"")]
    assert read_pax(source(), empty, 0, _LIMIT) == SparseMap(100, 0, ())


_NEWEST = [(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.realsize", b"100")]


def test_the_map_of_version_1_0_stands_before_the_data() -> None:
    stream = source(b"2\n0\n3\n50\n4\n".ljust(512, b"\0") + b"abcdefg")
    assert read_pax(stream, _NEWEST, 512 + 7, _LIMIT) == SparseMap(100, 7, ((0, 3), (50, 4)))
    assert stream.take(10) == b"abcdefg"


@pytest.mark.parametrize("data", [b"2\n0\n", b"", b"9\n" + b"1\n" * 200, b"x" * 512])
def test_a_map_that_does_not_end_is_malformed(data: bytes) -> None:
    with pytest.raises(LayerError):
        read_pax(source(data), _NEWEST, 1024, _LIMIT)


def test_a_file_without_records_of_sparse_files_has_no_map() -> None:
    assert read_pax(source(), [(b"path", b"x")], 7, _LIMIT) is None


@pytest.mark.parametrize(
    ("segments", "stored"),
    [
        (((0, 3), (2, 4)), 7),
        (((50, 4), (0, 3)), 7),
        (((98, 3),), 3),
        (((0, 3),), 4),
    ],
)
def test_pieces_must_be_in_order_inside_of_the_file_and_as_long_as_the_data(
    segments: tuple[tuple[int, int], ...], stored: int
) -> None:
    with pytest.raises(LayerError, match="pieces"):
        checked(100, stored, segments)


@pytest.mark.parametrize("text", [b"0,3,50", b"0,x", b"-1,3"])
def test_a_map_with_other_numbers_is_an_error(text: bytes) -> None:
    with pytest.raises(LayerError, match="sparse map"):
        read_pax(source(), [(b"GNU.sparse.size", b"100"), (b"GNU.sparse.map", text)], 3, _LIMIT)


# 0-2 "ab", hole, 1000-1003 "xyz", hole up to 2000
SPARSE = b"ab" + bytes(998) + b"xyz" + bytes(997)


def test_each_way_of_writing_sparse_files_is_understood() -> None:
    data = rawtar.padded(b"abxyz")
    major = (
        ("GNU.sparse.major", "1"),
        ("GNU.sparse.minor", "0"),
        ("GNU.sparse.name", "f"),
        ("GNU.sparse.realsize", "2000"),
    )
    ways = [
        header("f", b"S", size=5, magic=b"ustar  \0", tail=old_gnu([(0, 2), (1000, 3)], 2000)) + data,
        pax(
            ("GNU.sparse.size", "2000"), ("GNU.sparse.numblocks", "2"),
            ("GNU.sparse.offset", "0"), ("GNU.sparse.numbytes", "2"),
            ("GNU.sparse.offset", "1000"), ("GNU.sparse.numbytes", "3"),
        ) + file("f", b"abxyz"),
        pax(("GNU.sparse.size", "2000"), ("GNU.sparse.map", "0,2,1000,3"), ("GNU.sparse.name", "f")) + file("g", b"abxyz"),
        pax(*major) + header("g", size=517) + rawtar.padded(b"2\n0\n2\n1000\n3\n") + data,
    ]  # fmt: skip
    for way in ways:
        ((entry, content),) = read(archive(way))
        assert (entry.path, entry.size) == ("f", 2000)
        assert content == SPARSE
    for way in ways:
        for _, pieces in TarReader(io.BytesIO(archive(way))):
            assert [(offset, bytes(piece)) for offset, piece in pieces.pieces()] == [(0, b"ab"), (1000, b"xyz")]


def test_old_sparse_maps_may_go_on_in_further_blocks() -> None:
    pairs = [(index * 10, 1) for index in range(40)]
    more = b"".join(b"%011o\0%011o\0" % pair for pair in pairs[4:25]).ljust(504, b"\0") + b"\1" + bytes(7)
    last = b"".join(b"%011o\0%011o\0" % pair for pair in pairs[25:]).ljust(512, b"\0")
    head = header("f", b"S", size=40, magic=b"ustar  \0", tail=old_gnu(pairs, 400, more=True))
    ((_, content),) = read(archive(head + more + last + rawtar.padded(b"y" * 40)))
    assert content == (b"y" + bytes(9)) * 40


@pytest.mark.parametrize("version", ["--sparse-version=0.0", "--sparse-version=0.1", "--sparse-version=1.0", "gnu"])
def test_sparse_files_of_gnu_tar_are_read(tmp_path: Path, version: str) -> None:
    need_programs(["tar"])
    with (tmp_path / "sparse").open("wb") as sparse:
        for index in range(30):
            sparse.seek(index * 200_000)
            sparse.write(b"data" * 1000)
        sparse.truncate(7_000_000)
    options = ["--format=gnu"] if version == "gnu" else ["--format=pax", version]
    subprocess.run(["tar", "-C", tmp_path, "-cSf", tmp_path / "a.tar", *options, "sparse"], check=True)
    assert (tmp_path / "a.tar").stat().st_size < 1_000_000
    ((entry, content),) = read((tmp_path / "a.tar").read_bytes())
    assert entry.path == "sparse"
    assert content == (tmp_path / "sparse").read_bytes()


@pytest.mark.parametrize(
    "sparse_map",
    ["0,2,1,3", "0,5,3,0", "0,2,1999,3", "0,2", "0,2,1000", "a,b", "-1,5", "0,2,1000,99999999999999999999"],
)
def test_sparse_maps_that_make_no_sense_are_refused(sparse_map: str) -> None:
    with pytest.raises(LayerError):
        read(archive(pax(("GNU.sparse.size", "2000"), ("GNU.sparse.map", sparse_map)) + file("f", b"abxyz")))


def test_sparse_bombs_are_refused() -> None:
    many = ",".join(f"{index},0" for index in range(2000))
    with pytest.raises(LayerError, match="pieces"):
        read(archive(pax(("GNU.sparse.size", "9999"), ("GNU.sparse.map", many)) + file("f")), Limits(segments=1000))
    with pytest.raises(LayerError, match="bytes"):
        read(archive(pax(("GNU.sparse.size", str(1 << 60)), ("GNU.sparse.map", "0,1")) + file("f", b"x")))
    numbers = b"1000000\n" + b"0\n0\n" * 300
    records = pax(("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "9"))
    with pytest.raises(LayerError):
        read(archive(records + file("f", numbers)))
    with pytest.raises(LayerError):
        read(archive(records + file("f", b"7" * 5000)))


MAJOR = pax(("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "9"))


def test_a_sparse_map_does_not_go_on_in_the_next_entry() -> None:
    # The file is one block; its map of 300 pieces needs three.
    numbers = b"300\n" + b"0\n0\n" * 300
    with pytest.raises(LayerError, match="malformed sparse map"):
        read(archive(MAJOR + header("f", size=512) + numbers.ljust(1536, b"\0")))


def test_a_sparse_map_of_one_line_ends_early() -> None:
    stream = io.BytesIO(MAJOR + header("f", size=base256(1 << 40, 12)) + b"7" * (8 << 20))
    with pytest.raises(LayerError, match="malformed sparse map"):
        next(iter(TarReader(stream)))
    assert stream.tell() <= 2 << 20
