"""Zeros of at least 64 KiB become holes, and every other byte is written where it belongs."""

import io

import pytest

from pybuild.builder.oci.layers.unpack_holes import written_parts, written_parts_of
from pybuild.builder.oci.tar.reader import TarReader
from tests.helpers.rawtar import archive, file

K = 64 << 10


def written(*parts: tuple[int, bytes]) -> list[tuple[int, int]]:
    """The offset and length of what is written of *parts*, whose bytes must all be there."""
    given = [(offset, memoryview(data)) for offset, data in parts]
    found = list(written_parts(iter(given)))
    size = max(offset + len(data) for offset, data in parts)
    whole, rebuilt = bytearray(size), bytearray(size)
    for target, source in ((whole, given), (rebuilt, found)):
        for offset, data in source:
            target[offset : offset + len(data)] = data
    assert rebuilt == whole
    return [(offset, len(data)) for offset, data in found]


def test_a_run_of_zeros_is_left_out() -> None:
    assert written((0, b"a" * K + bytes(2 * K) + b"b")) == [(0, K), (3 * K, 1)]


def test_short_runs_of_zeros_are_data() -> None:
    assert written((0, bytes(K - 1))) == [(0, K - 1)]


def test_a_part_of_zeros_alone_writes_nothing() -> None:
    assert written((5, bytes(4 * K))) == []


def test_one_byte_among_zeros_is_kept_wherever_it_is() -> None:
    for position in (0, 1, K // 2, K // 2 + 1, K - 1):
        data = bytearray(K)
        data[position] = 1
        assert written((K, bytes(data))) == [(K, K)]


@pytest.mark.parametrize(("size", "count"), [(0, 0), (1, 1), (K - 1, K - 1), (K, 0), (K + 1, 1)])
def test_zeros_of_files_up_to_64_kib_are_data(size: int, count: int) -> None:
    for _, data in TarReader(io.BytesIO(archive(file("f", bytes(size))))):
        assert sum(len(part) for _, part in written_parts_of(data)) == count
