import os
import signal

import pytest

from pybuild.runtime.kernel.passing import receive, send, socket_pair, wait_for_message


def test_descriptors_arrive_in_order_and_are_closed_by_an_exec() -> None:
    first, second = socket_pair()
    reader, writer = os.pipe()
    send(first, b"both", reader, writer)
    message, descriptors = receive(second, 5)
    assert (message, len(descriptors)) == (b"both", 2)
    os.write(descriptors[1], b"x")
    assert os.read(reader, 1) == b"x"
    assert [os.get_inheritable(fd) for fd in (first, second, *descriptors)] == [False] * 4
    for fd in (first, second, reader, writer, *descriptors):
        os.close(fd)


def test_a_message_needs_no_descriptors_and_ends_where_it_was_sent() -> None:
    first, second = socket_pair()
    send(first, b"one")
    send(first, b"two")
    assert [receive(second, 0), receive(second, 0)] == [(b"one", ()), (b"two", ())]
    os.close(first)
    assert receive(second, 5) == (b"", ())
    with pytest.raises(BrokenPipeError):
        send(second, b"x")
    os.close(second)


def test_an_end_that_goes_with_something_unread_is_the_end() -> None:
    first, second = socket_pair()
    send(second, b"unread")
    os.close(first)
    assert receive(second, 5) == (b"", ())
    os.close(second)


def test_a_message_comes_unless_the_child_ends_first() -> None:
    first, second = socket_pair()
    child = os.fork()
    if child == 0:
        signal.pause()
    send(first, b"x")
    assert wait_for_message(second, child)
    receive(second, 0)
    os.kill(child, signal.SIGKILL)
    assert not wait_for_message(second, child)
    send(first, b"late")
    assert wait_for_message(second, child)
    os.waitpid(child, 0)
    os.close(first)
    os.close(second)
