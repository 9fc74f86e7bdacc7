"""Processes that a keeper follows: what they can do, and that none is left."""

import ctypes
import fcntl
import os
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from pybuild.runtime.chrooted.inside import tracer
from pybuild.runtime.chrooted.inside.process_calls import GO_ON, NONE, ONE
from pybuild.runtime.kernel import ptrace
from tests.helpers.waiting import PATIENCE
from tests.runtime.chrooted.traced import result, start


def _sleeping() -> int:
    child = os.fork()
    if child == 0:
        signal.pause()
    return child


def _refused(call: Callable[..., object], *arguments: object) -> str:
    try:
        call(*arguments)
    except PermissionError:
        return "refused"
    return "done"


def _own_descriptor(number: int) -> None:
    reader, _ = os.pipe()
    fcntl.fcntl(reader, fcntl.F_SETOWN, number)


def _kill_thread(number: int) -> None:
    if ctypes.CDLL(None, use_errno=True).tgkill(number, number, 0):
        raise OSError(ctypes.get_errno(), "refused")


_LIMIT = (64, 64)
CALLS: dict[str, Callable[[int], object]] = {
    "kill": lambda pid: os.kill(pid, 0),
    "kill a group": lambda pid: os.kill(-pid, 0),
    "kill by thread": _kill_thread,
    "open": os.pidfd_open,
    "limit": lambda pid: resource.prlimit(pid, resource.RLIMIT_NOFILE, _LIMIT),
    "priority": lambda pid: os.setpriority(os.PRIO_PROCESS, pid, 1),
    "processors": lambda pid: os.sched_setaffinity(pid, {0}),
    "scheduler": lambda pid: os.sched_setscheduler(pid, os.SCHED_BATCH, os.sched_param(0)),
    "owner of a descriptor": _own_descriptor,
}


@pytest.mark.parametrize("name", CALLS)
def test_nothing_is_done_to_a_process_outside(name: str) -> None:
    with subprocess.Popen(["sleep", "1000"], process_group=0) as outside:
        try:
            pid = outside.pid
            assert result(lambda: _refused(CALLS[name], pid)) == "refused"
        finally:
            outside.kill()


@pytest.mark.parametrize("name", [name for name in CALLS if name != "kill a group"])
def test_the_same_is_done_to_one_inside(name: str) -> None:
    assert result(lambda: _refused(CALLS[name], _sleeping())) == "done"


def test_a_process_can_be_stopped_and_continued() -> None:
    def stopped() -> list[bool]:
        child = _sleeping()
        os.kill(child, signal.SIGSTOP)
        found = [os.WIFSTOPPED(os.waitpid(child, os.WUNTRACED)[1])]
        os.kill(child, signal.SIGCONT)
        found.append(os.WIFCONTINUED(os.waitpid(child, os.WCONTINUED)[1]))
        os.kill(child, signal.SIGTERM)
        found.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM)
        return found

    assert result(stopped) == "[True, True, True]"


def test_a_thread_may_exec() -> None:
    def executed() -> str:
        child = os.fork()
        if child == 0:
            words = [sys.executable, "-c", "import os; os.kill(os.getpid(), 0); os._exit(7)"]
            threading.Thread(target=os.execv, args=(sys.executable, words)).start()
            time.sleep(1000)
        return str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    assert result(executed) == "7"


def test_one_that_has_ended_may_be_signalled_until_it_is_waited_for() -> None:
    def signalled() -> str:
        child = _sleeping()
        os.kill(child, signal.SIGKILL)
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        os.kill(child, signal.SIGTERM)
        os.close(os.pidfd_open(child))
        return str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    assert result(signalled) == "-9"


def test_a_process_may_end_while_its_first_thread_makes_such_calls() -> None:
    def ended() -> str:
        for _ in range(20):
            child = os.fork()
            if child == 0:
                threading.Timer(0.01, os._exit, (7,)).start()
                while True:
                    os.kill(os.getpid(), 0)
            os.waitpid(child, 0)
        return "all"

    assert result(ended) == "all"


def test_nobody_is_reaped_before_a_call_is_carried_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the number in the call could pass to a process outside while the caller waits for a processor."""
    stops = [ptrace.EVENT_SECCOMP << 16 | signal.SIGTRAP << 8 | 0x7F, ptrace.SYSCALL_STOP << 8 | 0x7F, 0]
    answers = [(10, stops[0]), (0, 0), (10, stops[1]), (0, 0), (10, stops[2])]
    waited = []

    def waitpid(pid: int, _options: int) -> tuple[int, int]:
        waited.append(pid)
        if not answers:
            raise ChildProcessError
        return answers.pop(0)

    for name, value in {"seize": None, "resume": None, "filtered_call": (1, 2, (10,) * 6)}.items():
        monkeypatch.setattr(ptrace, name, lambda *_, value=value, **__: value)
    monkeypatch.setattr(tracer, "wait_signal", lambda: signal.SIGCHLD)
    monkeypatch.setattr(tracer, "has_ended", lambda _: False)
    monkeypatch.setattr(tracer, "decision", lambda *_: GO_ON)
    monkeypatch.setattr(os, "waitpid", waitpid)
    assert tracer.Tracer(10, ((1, 2, ONE, 0),)).follow() == 0
    assert waited == [-1, 10, 10, -1, -1, -1]


def test_threads_are_named_by_their_own_process_alone() -> None:
    """A thread of another process frees its number when it executes a program, whatever the keeper does meanwhile."""

    def named() -> list[str]:
        reader, writer = os.pipe()
        child = os.fork()
        thread = threading.Thread(target=lambda: (os.write(writer, b"%d" % threading.get_native_id()), signal.pause()))
        if child == 0:
            thread.start()
            signal.pause()
        other = int(os.read(reader, 20))
        threading.Thread(target=lambda: os.write(writer, b"%d" % threading.get_native_id()) and time.sleep(5)).start()
        own = int(os.read(reader, 20))
        found = [_refused(os.sched_setaffinity, number, {0}) for number in (child, other, own)]
        os.kill(child, signal.SIGKILL)
        return found

    assert result(named) == "['done', 'refused', 'done']"


def test_a_process_changes_its_group_only_while_no_other_call_is_carried_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a call about a group could reach another one that has its number since the last process left it."""
    monkeypatch.setattr(tracer, "decision", lambda kind, *_: GO_ON if kind != NONE else 77)

    def changed() -> list[int | None]:
        found: list[int | None] = []
        for call in (os.setsid, os.setpgrp):
            try:
                call()
                found.append(None)
            except OSError as error:
                found.append(error.errno)
        return found

    assert result(changed) == "[77, 77]"


def _orphan() -> int:
    """Leave a process of its own session behind, and return its number."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.setsid()
        child = _sleeping()
        os.write(writer, b"%d" % child)
        os._exit(0)
    return int(os.read(reader, 20))


def test_nobody_is_left_when_the_first_one_ends() -> None:
    left = int(result(_orphan))
    with pytest.raises(ProcessLookupError):
        os.kill(left, 0)


def test_all_end_when_the_keeper_is_killed() -> None:
    def waits() -> None:
        os.write(told, b"%d\n" % _orphan())
        signal.pause()

    hears, told = os.pipe()
    keeper, reader = start(waits)
    try:
        left = os.pidfd_open(int(os.read(hears, 20)))
        os.kill(keeper, signal.SIGKILL)
        os.waitpid(keeper, 0)
        poller = select.poll()
        poller.register(left, select.POLLIN)
        assert poller.poll(PATIENCE * 1000)
        os.close(left)
    finally:
        for fd in (hears, told, reader):
            os.close(fd)
