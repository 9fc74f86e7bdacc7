import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from pybuild.builder.display.log_tail import LogTail, StepLog


def test_the_last_lines_are_kept() -> None:
    tail = LogTail(2)
    tail.feed("one\ntw")
    tail.feed("o\nthr")
    tail.feed("ee")
    assert tail.lines() == ("two", "three")


def test_a_line_without_end_takes_bounded_memory() -> None:
    tail = LogTail(10)
    for _ in range(100):
        tail.feed("x" * 1000)
    assert tail.lines() == ("x" * 2000 + "…",)


@given(st.lists(st.text("ab\n", max_size=12)), st.integers(1, 4))
def test_any_pieces_give_the_last_lines_of_the_whole(pieces: list[str], count: int) -> None:
    tail = LogTail(count)
    for piece in pieces:
        tail.feed(piece)
    lines = "".join(pieces).split("\n")
    expected = lines if lines[-1] else lines[:-1]
    assert list(tail.lines()) == expected[-count:]


def test_streams_are_decoded_apart() -> None:
    log = StepLog()
    assert log.feed(1, b"\xe2\x82") + log.feed(2, b"err\n") + log.feed(1, b"\xac\n") == "err\n€\n"
    assert log.feed(1, b"\xe2") + log.finish() == "\ufffd"


def test_a_flood_of_lines_takes_bounded_memory() -> None:
    tail = LogTail(10)
    tracemalloc.start()
    for _ in range(20_000):
        tail.feed("a line of a step that never ends, one of very many\n" * 12)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(tail.lines()) == 10
    assert most < 1 << 20
