import bz2
import io
import lzma

import pytest

from pybuild.builder.oci.errors import LayerError
from pybuild.builder.oci.limits import Limits
from pybuild.builder.oci.streams.compression import decompressing

DATA = bytes(range(256)) * 10_000
BZIP2, XZ = bz2.compress(DATA), lzma.compress(DATA)


def read(packed: bytes, limits: Limits | None = None) -> bytes:
    stream = decompressing(io.BytesIO(packed), limits or Limits())
    return b"".join(iter(lambda: stream.read(1 << 20), b""))


@pytest.mark.parametrize(
    ("packed", "times"), [(BZIP2, 1), (XZ, 1), (BZIP2 + BZIP2, 2), (XZ + XZ, 2), (XZ + bytes(8) + XZ + bytes(4), 2)]
)
def test_bzip2_and_xz_are_read_also_in_several_streams(packed: bytes, times: int) -> None:
    assert read(packed) == DATA * times


@pytest.mark.parametrize(
    ("packed", "problem"),
    [
        (BZIP2[:-20], "ends in the middle"),
        (XZ[:-20], "ends in the middle"),
        (BZIP2[:100] + b"xxxx" + BZIP2[104:], "damaged bzip2"),
        (XZ[:100] + b"xxxx" + XZ[104:], "damaged xz"),
        (XZ + b"something" * 9, "damaged xz"),
        (BZIP2 + b"something", "damaged bzip2"),
        (lzma.compress(b"x", filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 512 << 20}]), "damaged xz"),
    ],
)
def test_damaged_ones_and_those_that_want_much_memory_are_refused(packed: bytes, problem: str) -> None:
    with pytest.raises(LayerError, match=problem):
        read(packed)


@pytest.mark.parametrize("packed", [BZIP2, XZ])
def test_limits_hold(packed: bytes) -> None:
    with pytest.raises(LayerError, match="more than"):
        read(packed, Limits(total=1000))
    with pytest.raises(LayerError, match="members"):
        read(packed * 3, Limits(members=2))
