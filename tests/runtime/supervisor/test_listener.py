import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from pybuild.runtime.kernel.passing import receive, send, socket_pair
from pybuild.runtime.kernel.syscalls import seccomp_listener
from pybuild.runtime.sandbox.inside.notification_filter import notifying
from pybuild.runtime.supervisor.listener import Listener, Notification, StaleCallError
from tests.helpers.hosts import need_root


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


_INSIDE = """
import os, sys, threading
from pybuild.runtime.kernel.syscalls import CLONE_NEWPID, unshare
from pybuild.runtime.supervisor.listener import StaleCallError, outer_name
os.chdir("/proc")
opened = os.pidfd_open
if sys.argv[1] == "older":
    def refuse(pid, flags=0):
        if flags:
            raise OSError(22, "Invalid argument")
        return opened(pid)
    os.pidfd_open = refuse
def in_a_namespace(inside):
    child = os.fork()
    if child == 0:
        try:
            unshare(CLONE_NEWPID)
            if first := os.fork():
                os._exit(os.waitstatus_to_exitcode(os.waitpid(first, 0)[1]))
            inside()
        finally:
            os._exit(0)
    return child
def tell():
    own = threading.get_native_id()
    print(own, outer_name(own).decode() == os.path.basename(os.readlink("thread-self")), flush=True)
def in_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()
def wait():
    os.write(ready[1], b"x")
    os.read(end[0], 1)
def all():
    tell()
    in_thread(tell)
    try:
        outer_name(77)
    except StaleCallError:
        print("stale", flush=True)
# Their threads have the same numbers.
ready, end = os.pipe(), os.pipe()
beside = in_a_namespace(lambda: in_thread(wait))
os.read(ready[0], 1)
os.waitpid(in_a_namespace(all), 0)
os.write(end[1], b"x")
os.waitpid(beside, 0)
"""


@pytest.mark.parametrize("kernel", ["newer", "older"])
def test_threads_of_another_namespace_are_named_as_the_proc_outside_does(kernel: str) -> None:
    need_root()
    done = subprocess.run([sys.executable, "-c", _INSIDE, kernel], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["1 True", "2 True", "stale"], done.stderr


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
