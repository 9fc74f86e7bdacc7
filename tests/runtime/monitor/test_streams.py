import os

from pybuild.runtime.monitor.loop import IN, Loop
from pybuild.runtime.monitor.streams import Streams
from pybuild.runtime.sandbox.inside.plan import NULL, PIPE


def made(kind: bytes) -> tuple[Loop, Streams, list[tuple[int, bytes]]]:
    loop, shown = Loop(), []
    return loop, Streams(loop, kind, lambda stream, data: shown.append((stream, data)), lambda: None), shown


def test_what_was_printed_before_anybody_looked_is_not_lost() -> None:
    loop, streams, shown = made(NULL)
    os.write(streams.given[1], b"out")
    os.write(streams.given[2], b"err")
    streams.give()
    for _ in range(3):
        loop.turn(0)
    assert shown == []
    streams.close()
    assert sorted(shown) == [(1, b"out"), (2, b"err")]


def test_output_that_had_to_wait_comes_when_it_may() -> None:
    loop, streams, shown = made(NULL)
    os.write(streams.given[1], b"x" * 1000)
    streams.give()
    loop.turn(0)
    streams.show(wanted=True)
    for _ in range(4):
        loop.turn(0)
    assert shown == [(1, b"x" * 1000)]
    streams.close()
    assert shown == [(1, b"x" * 1000)]


def test_output_is_not_lost_when_it_is_shown_again_just_before_its_end_is_seen() -> None:
    loop, shown = Loop(), []
    reader, writer = os.pipe()
    # In a turn it comes before the streams, as what a client has read does.
    loop.watch(reader, IN, lambda fd, _: (loop.close(fd), streams.show(wanted=True)))
    streams = Streams(loop, NULL, lambda stream, data: shown.append((stream, data)), lambda: None)
    os.write(streams.given[1], b"x" * 1000)
    streams.give()
    os.close(writer)
    for _ in range(4):
        loop.turn(0)
    assert shown == [(1, b"x" * 1000)]
    streams.close()


def test_input_waits_for_its_reader_and_ends() -> None:
    loop, streams, _ = made(PIPE)
    reader = os.dup(streams.given[0])
    streams.give()
    data = b"x" * 100_000
    streams.write(data)
    assert streams.is_full
    read = b""
    while len(read) < len(data):
        read += os.read(reader, 1 << 16)
        loop.turn(0)
    assert read == data
    assert not streams.is_full
    streams.end_input()
    assert os.read(reader, 1) == b""
    streams.write(b"dropped")
    streams.close()
    os.close(reader)
