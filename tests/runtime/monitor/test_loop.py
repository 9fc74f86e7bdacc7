import os

from pybuild.runtime.monitor.loop import IN, OUT, Loop


def test_handlers_are_called_for_what_is_wanted_and_ends_always() -> None:
    loop, seen = Loop(), []
    reader, writer = os.pipe()
    loop.watch(reader, 0, lambda fd, events: seen.append((fd, events)))
    os.write(writer, b"x")
    loop.turn(0)
    assert seen == []
    loop.watch(reader, IN, lambda fd, events: seen.append((fd, events)))
    loop.turn(0)
    assert seen == [(reader, IN)]
    os.read(reader, 1)
    os.close(writer)
    loop.turn(0)
    assert seen[1][0] == reader
    assert not seen[1][1] & IN
    loop.close(reader)
    loop.forget(reader)
    loop.turn(0)


def test_one_that_is_closed_by_another_of_the_same_turn_is_not_called() -> None:
    loop, seen = Loop(), []
    ends = [os.pipe() for _ in range(2)]

    def close_the_other(fd: int, _events: int) -> None:
        seen.append(fd)
        loop.forget(next(writer for _, writer in ends if writer != fd))

    for _, writer in ends:
        loop.watch(writer, OUT, close_the_other)
    loop.turn(0)
    assert len(seen) == 1
    for fd in (fd for pair in ends for fd in pair):
        os.close(fd)
