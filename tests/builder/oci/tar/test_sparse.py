"""Maps of sparse files."""

import io

import pytest

from pybuild.builder.oci.errors import LayerError
from pybuild.builder.oci.streams.reading import BufferedSource
from pybuild.builder.oci.tar.sparse import SparseMap, checked, read_gnu, read_pax

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
