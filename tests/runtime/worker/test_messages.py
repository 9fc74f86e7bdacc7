"""What crosses between two processes of one user, exceptions above all."""

import os
import socket
from pathlib import Path

import pytest

from pybuild.runtime.worker.messages import WorkerFailure, receive, receive_descriptors, send, send_descriptors
from tests.runtime.worker import functions


def _crossed(error: BaseException) -> BaseException:
    near, far = socket.socketpair()
    with near, far:
        send(near, WorkerFailure.of(error))
        found = receive(far)
    assert isinstance(found, WorkerFailure)
    return found.error()


@pytest.mark.parametrize("number", range(len(functions.FAILURES)))
def test_a_failure_is_the_one_that_was_raised_there(number: int) -> None:
    with pytest.raises(type(functions.FAILURES[number])) as raised:
        functions.failing(print, number)
    found = _crossed(raised.value)
    assert (type(found), str(found)) == (type(raised.value), str(raised.value))
    assert found.__dict__ == raised.value.__dict__
    assert isinstance(found.__cause__, OSError)
    assert (found.__cause__.errno, found.__cause__.strerror) == (28, "No space left on device")


def test_a_failure_of_the_system_keeps_its_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as raised:
        (tmp_path / "none").rename(tmp_path / "other")
    found = _crossed(raised.value)
    assert isinstance(found, FileNotFoundError)
    assert str(found) == str(raised.value)
    assert (found.filename, found.filename2) == (str(tmp_path / "none"), str(tmp_path / "other"))


def test_what_of_a_failure_cannot_cross_stays_behind() -> None:
    with pytest.raises(functions.Odd) as raised:
        functions.unlike_others(print)
    found = _crossed(raised.value)
    assert (type(found), str(found), found.__dict__) == (functions.Odd, "text", {"text": "text"})


def test_the_end_of_the_other_process_is_no_message() -> None:
    near, far = socket.socketpair()
    with far:
        with near:
            near.sendall(b"\0" * 7 + b"\5abc")
        with pytest.raises(EOFError):
            receive(far)


def test_descriptors_take_the_number_even_of_the_channel() -> None:
    near, far = socket.socketpair()
    held = [os.memfd_create("test") for _ in range(3)]
    for number in held:
        os.write(number, str(number).encode())
    # What they are called here is what the far end, the first that is sent and the last one are called there.
    numbers = (far.fileno(), held[2], held[0])
    send_descriptors(near, tuple(held))
    moved = receive_descriptors(far, numbers)
    texts = [Path(f"/proc/self/fd/{number}").read_text() for number in numbers]
    assert texts == [str(number) for number in held]
    send(near, "still there")
    assert receive(moved) == "still there"
    near.close()
    moved.close()
    for number in {*numbers, held[1]}:
        os.close(number)
