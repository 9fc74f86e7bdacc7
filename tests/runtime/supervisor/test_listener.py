import os
import signal
from collections.abc import Iterator

import pytest

from pybuild.runtime.kernel.passing import receive, send, socket_pair
from pybuild.runtime.kernel.syscalls import seccomp_listener
from pybuild.runtime.sandbox.inside.notified import notifying
from pybuild.runtime.supervisor.listener import Listener, Notification, StaleCallError


@pytest.fixture
def caller() -> Iterator[tuple[int, Listener]]:
    """A process that asks for its user id, and who is told so."""
    ours, theirs = socket_pair()
    child = os.fork()
    if child == 0:
        send(theirs, b"l", seccomp_listener(notifying(os.uname().machine)[0]))
        os._exit(os.getuid() % 256)
    _, (fd,) = receive(ours, 1)
    for end in (ours, theirs):
        os.close(end)
    yield child, Listener(fd)
    os.close(fd)


def _received(listener: Listener) -> Notification:
    call = listener.receive()
    assert call is not None
    return call


def test_a_call_gets_the_answer_and_the_end_is_seen(caller: tuple[int, Listener]) -> None:
    child, listener = caller
    call = _received(listener)
    assert call.tid == child
    assert call.number == {name: number for number, name in notifying(os.uname().machine)[1]}[b"getuid"]
    listener.check(call)
    listener.answer(call, 77)
    assert listener.receive() is None
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 77


def test_the_kernel_answers_what_it_is_to_answer(caller: tuple[int, Listener]) -> None:
    child, listener = caller
    listener.proceed(_received(listener))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_call_of_a_dead_process_is_stale_and_an_answer_to_it_is_nothing(caller: tuple[int, Listener]) -> None:
    child, listener = caller
    call = _received(listener)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with pytest.raises(StaleCallError):
        listener.check(call)
    listener.answer(call, 5)
    listener.proceed(call)
    listener.hand_over(call, 0, close_on_exec=True)
    assert listener.receive() is None
