import pytest

from pybuild.builder.oci.streams.blocks import ZEROS, Blocks, zero_block
from pybuild.builder.oci.streams.pipeline import PIECE

HOLE, DATA = ZEROS, b"\1" * PIECE


@pytest.mark.parametrize("sizes", [[], [0], [3, 3, 3], [10], [20], [25, 1], [4, 10, 6, 35], [9, 1, 10]])
def test_blocks_have_one_size_however_the_data_comes(sizes: list[int]) -> None:
    data = bytes(range(sum(sizes)))
    got: list[bytes] = []
    blocks = Blocks(lambda block: got.append(bytes(block)), 10)
    at = 0
    for size in sizes:
        blocks.write(data[at : at + size])
        at += size
    blocks.flush()
    assert b"".join(got) == data
    assert [len(block) for block in got[:-1]] == [10] * (len(got) - 1)


@pytest.mark.parametrize("size", [10, PIECE, 2 * PIECE, 4 * PIECE])
@pytest.mark.parametrize(
    "pieces",
    [
        [HOLE],
        [HOLE] * 9,
        [HOLE, DATA, *[HOLE] * 5, b"x", HOLE, HOLE],
        [b"x", *[HOLE] * 4, DATA[1:], *[HOLE] * 6, b"y"],
    ],
)
def test_pieces_of_zeros_make_the_same_blocks_as_all_others(size: int, pieces: list[bytes]) -> None:
    if size == 10:
        pieces = pieces[:2]
    made: list[list[bytes]] = []
    for each in (pieces, [bytes(bytearray(piece)) for piece in pieces]):
        got: list[bytes] = []
        blocks = Blocks(lambda block, got=got: got.append(bytes(block)), size)  # type: ignore[misc]
        for piece in each:
            blocks.write(piece)
        blocks.flush()
        made.append(got)
    assert made[0] == made[1]


def test_blocks_of_zeros_are_one_object_and_room_comes_after_them() -> None:
    got: list[bytes | memoryview] = []
    blocks = Blocks(got.append, 2 * PIECE)
    blocks.zeros(5 * PIECE)
    blocks.room()[:1] = b"x"
    blocks.advance(1)
    blocks.flush()
    assert [block is zero_block(2 * PIECE) for block in got] == [True, True, False]
    assert bytes(got[2]) == ZEROS + b"x"


def test_a_block_that_was_given_away_is_not_written_again() -> None:
    got: list[bytes | memoryview] = []
    blocks = Blocks(got.append, 4)
    for piece in (b"abc", b"def", b"ghij"):
        blocks.write(piece)
    blocks.flush()
    assert b"".join(got) == b"abcdefghij"


def test_a_stream_that_ends_early_takes_no_whole_block() -> None:
    got: list[bytes | memoryview] = []
    blocks = Blocks(got.append)
    for _ in range(5):
        blocks.write(b"1234567")
    blocks.flush()
    (block,) = got
    assert isinstance(block, memoryview)
    assert (bytes(block), len(block.obj)) == (b"1234567" * 5, 16 << 10)  # type: ignore[arg-type]


@pytest.mark.parametrize("first", [1, 16 << 10, (16 << 10) + 1, PIECE - 1])
def test_a_block_that_outgrows_its_beginning_keeps_what_it_had(first: int) -> None:
    data = bytes(number % 251 for number in range(first)) + bytes(range(200)) * 9000
    got: list[bytes] = []
    blocks = Blocks(lambda block: got.append(bytes(block)))
    for piece in (data[:first], data[first : first + 70], data[first + 70 :]):
        blocks.write(piece)
    blocks.flush()
    assert b"".join(got) == data
    assert [len(block) for block in got[:-1]] == [PIECE] * (len(data) // PIECE)
