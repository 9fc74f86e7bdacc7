import io

import pytest

from pybuild.builder.oci.streams.reading import BufferedSource, PieceReader


class Dribble(io.BytesIO):
    """Returns fewer bytes than it is asked for."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(3, size or 0))


@pytest.mark.parametrize("piece", [1, 2, 5, 100])
def test_a_source_gives_exact_counts_whatever_the_stream_does(piece: int) -> None:
    source = BufferedSource(Dribble(b"abcdefghij"), piece)
    assert source.take(4) == b"abcd"
    assert source.peek(3) == b"efg"
    assert source.take(2) == b"ef"
    assert not source.at_end()
    assert source.take(100) == b"ghij"
    assert source.take(1) == b""
    assert source.at_end()
    assert source.read_total == 10


@pytest.mark.parametrize("piece", [1, 2, 5, 100])
def test_bytes_are_passed_over_up_to_the_end(piece: int) -> None:
    source = BufferedSource(Dribble(b"abcdefghij"), piece)
    assert source.skip(0)
    assert source.skip(4)
    assert source.take(1) == b"e"
    assert source.skip(5)
    assert source.at_end()
    assert not source.skip(1)


def test_what_was_viewed_can_be_given_back() -> None:
    source = BufferedSource(io.BytesIO(b"abcdef"))
    assert bytes(source.view(4)) == b"abcd"
    source.back(3)
    assert bytes(source.view(100)) == b"bcdef"
    assert bytes(source.view(1)) == b""


def test_pieces_read_as_a_file() -> None:
    reader = PieceReader(piece for piece in (b"abc", b"", memoryview(b"defg"), b"h"))
    assert reader.readable()
    assert reader.read(2) == b"ab"
    target = bytearray(4)
    assert reader.readinto(target) == 1
    assert target[:1] == b"c"
    assert reader.read() == b"defgh"
    assert reader.read(5) == b""
    reader.close()
