"""Calls of supervised processes while a signal comes, whose handler is set without SA_RESTART, as Python's are."""

import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.supervisor.supervised import Supervised, supervised

_SOON, _LATER = 0.05, 0.4
"""Seconds until the signal comes, and until the supervisor continues. In another order, a test shows nothing."""
_TRACER = ["grep", "TracerPid", "/proc/self/status"]


def _handle() -> None:
    signal.signal(signal.SIGUSR1, lambda *_: None)


def _here(call: Callable[[], Any]) -> Any:
    _handle()
    return call()


def _in_a_child(call: Callable[[], Any]) -> Any:
    _handle()
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.write(writer, repr(call()).encode())
        os._exit(0)
    os.wait()
    return eval(os.read(reader, 1000))


def _in_an_older_thread(call: Callable[[], Any]) -> Any:
    handled, found = threading.Event(), []

    def wait() -> None:
        handled.wait()
        found.append(call())

    thread = threading.Thread(target=wait)
    thread.start()
    _handle()
    handled.set()
    thread.join()
    return found[0]


def _in_a_newer_thread(call: Callable[[], Any]) -> Any:
    _handle()
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(call()))
    thread.start()
    thread.join()
    return found[0]


def _interrupted(call: Callable[[], Any], where: Callable[..., Any] = _here, *, is_own_proc: bool = True) -> Any:
    """Return what *call* returns *where* a signal comes before its system call was received."""
    supervisor = Supervised(is_own_proc=is_own_proc)
    reader, writer = os.pipe()

    def stopped() -> Any:
        os.kill(supervisor.process, signal.SIGSTOP)
        os.write(writer, b"%d %d" % (os.getpid(), threading.get_native_id()))
        return call()

    def interrupt() -> None:
        process, thread = map(int, os.read(reader, 100).split())
        time.sleep(_SOON)
        ctypes.CDLL(None).tgkill(process, thread, signal.SIGUSR1)
        time.sleep(_LATER)
        os.kill(supervisor.process, signal.SIGCONT)

    interrupting = threading.Thread(target=interrupt)
    interrupting.start()
    try:
        return supervisor.run(lambda: where(stopped))
    finally:
        interrupting.join()
        assert supervisor.end()[0] == 0


@pytest.mark.parametrize("is_own_proc", [True, False])
@pytest.mark.parametrize("where", [_here, _in_a_child, _in_an_older_thread, _in_a_newer_thread])
def test_a_signal_does_not_end_a_call_that_nobody_has_received(where: Callable[..., Any], is_own_proc: bool) -> None:
    assert _interrupted(os.getuid, where, is_own_proc=is_own_proc) == 0


def test_neither_does_it_end_one_that_creates_a_file(tmp_path: Path) -> None:
    def make() -> list[str]:
        os.mkdir(tmp_path / "made")
        return os.listdir(tmp_path)

    assert _interrupted(make) == ["made"]


def test_a_signal_ends_an_open_that_waits_for_another_process(tmp_path: Path) -> None:
    """As shells do to write to a FIFO, so that their traps are executed while nobody reads it."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reading = threading.Timer(10 * _LATER, os.open, (fifo, os.O_RDONLY | os.O_NONBLOCK))

    def wait() -> int:
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, _SOON)
        # Not by os.open, which would wait again.
        opened: int = ctypes.CDLL(None).open(os.fsencode(fifo), os.O_WRONLY | os.O_CREAT, 0o600)
        return opened

    reading.start()
    assert supervised(wait) == -1
    reading.cancel()


def test_programs_that_set_no_such_handler_can_be_traced_by_others() -> None:
    def tracers() -> list[bool]:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.signal(signal.SIGSEGV, lambda *_: None)
        signal.siginterrupt(signal.SIGSEGV, True)
        own = Path("/proc/self/status")
        found = ["TracerPid:\t0\n" in own.read_text(encoding="utf-8")]
        _handle()
        found.append("TracerPid:\t0\n" in own.read_text(encoding="utf-8"))
        # Not by vfork(2), which the supervisor does not follow.
        done = subprocess.run(_TRACER, stdout=subprocess.PIPE, check=True, preexec_fn=lambda: None)
        return [*found, done.stdout == b"TracerPid:\t0\n"]

    assert supervised(tracers) == [True, False, True]


def test_a_traced_process_stops_and_continues_as_others_do() -> None:
    def stops() -> list[bool]:
        _handle()
        child = os.fork()
        if child == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
            os._exit(7)
        stopped = os.waitpid(child, os.WUNTRACED)[1]
        os.kill(child, signal.SIGCONT)
        return [os.WIFSTOPPED(stopped), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7]

    assert supervised(stops) == [True, True]
