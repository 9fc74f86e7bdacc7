"""The data of one entry: whole, in part, not at all."""

import io

import pytest

from pybuild.builder.oci.errors import LayerError
from pybuild.builder.oci.tar.reader import TarReader
from tests.helpers import rawtar
from tests.helpers.rawtar import (
    archive,
    directory,
    file,
    header,
    old_gnu,
)


def test_what_is_not_read_is_passed_over() -> None:
    data = archive(file("a", b"a" * 3000), file("b", b"b" * 10))
    seen = []
    for entry, content in TarReader(io.BytesIO(data)):
        seen.append((entry.path, content.read(2)))
    assert seen == [("a", b"aa"), ("b", b"bb")]


@pytest.mark.parametrize("piece", [1, 511, 700, 1 << 20])
def test_a_small_file_without_holes_is_read_as_a_whole(piece: int) -> None:
    whole = archive(file("a", b"1" * 700), file("b", b"2" * 701), file("empty"), directory("d"), file("c", b"3"))

    class Pieces:
        stream = io.BytesIO(whole)

        def read(self, size: int) -> bytes:
            return self.stream.read(min(size, piece))

    found = [content.whole(700) for _, content in TarReader(Pieces())]
    assert found == [b"1" * 700, None, None, None, b"3"]


def test_a_file_that_is_cut_or_has_holes_is_not_read_as_a_whole() -> None:
    cut = file("f", b"x" * 1024)[:1000]
    with pytest.raises(LayerError, match="ends in the middle of a file"):
        [content.whole(1024) for _, content in TarReader(io.BytesIO(cut))]
    tail = old_gnu([(512, 3)], 1024)
    holes = header("f", b"S", size=3, magic=b"ustar  \0", tail=tail) + rawtar.padded(b"abc")
    ((_, content),) = TarReader(io.BytesIO(archive(holes)))
    assert content.whole(1 << 20) is None


def test_a_file_that_is_cut_is_never_taken_for_a_whole_one() -> None:
    whole = file("a", b"x" * 700)
    for cut in (513, 700, 1211):
        _, data = next(iter(TarReader(io.BytesIO(whole[:cut]))))
        with pytest.raises(LayerError, match="in the middle of a file"):
            data.read()
