"""Signals of the builder on their way to the program."""

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pybuild.runtime.sandbox.child import Child
from pybuild.runtime.sandbox.signal_relay import PASSED_ON, SignalRelay

REPOSITORY = Path(__file__).parents[3]


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in PASSED_ON]
    with SignalRelay(0):
        assert not set(before) & {signal.getsignal(number) for number in PASSED_ON}
    assert [signal.getsignal(number) for number in PASSED_ON] == before


def test_what_is_meant_for_this_process_is_not_passed_on() -> None:
    kept = {"CHLD", "PIPE", "URG", "TTIN", "TTOU", "BUS", "FPE", "ILL", "SEGV", "SYS", "KILL", "STOP", "RTMAX"}
    assert signal.valid_signals() - set(PASSED_ON) == {getattr(signal, f"SIG{name}") for name in kept}


def test_signals_that_come_before_the_program_wait_for_it() -> None:
    sent: list[int] = []
    with SignalRelay(-1) as relay:
        for number in (signal.SIGUSR1, signal.SIGTERM):
            signal.raise_signal(number)
        assert sent == []
        relay.connect(sent.append)
        signal.raise_signal(signal.SIGHUP)
        assert sent == [signal.SIGUSR1, signal.SIGTERM, signal.SIGHUP]


def test_the_third_request_to_end_kills() -> None:
    sent: list[int] = []
    with SignalRelay(-1) as relay:
        relay.connect(sent.append)
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM):
            signal.raise_signal(number)
        assert not relay.killed.is_set()
        signal.raise_signal(signal.SIGINT)
        assert relay.killed.is_set()
    assert sent == [signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM]


@pytest.mark.parametrize(("number", "killed"), [(signal.SIGTERM, True), (signal.SIGINT, False), (signal.SIGHUP, False)])
def test_only_a_request_to_stop_has_a_timeout(number: int, killed: bool) -> None:
    with SignalRelay(0) as relay:
        relay.connect(lambda _: None)
        signal.raise_signal(number)
        assert relay.killed.wait(20 if killed else 0.2) is killed


def test_a_terminal_that_is_closed_just_after_its_signal_has_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = [True]
    monkeypatch.setattr(os, "isatty", lambda _: opened[0])
    with SignalRelay(0) as relay:
        relay.connect(lambda _: None)
        signal.raise_signal(signal.SIGHUP)
        opened[0] = False
        assert relay.killed.wait(20)


def test_a_hangup_of_ones_own_terminal_has_a_timeout_too() -> None:
    script = (
        "import fcntl, termios; from pybuild.runtime.sandbox.signal_relay import SignalRelay\n"
        "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
        "with SignalRelay(0) as relay:\n"
        "    relay.connect(lambda number: None); print('up', flush=True); raise SystemExit(7 if relay.killed.wait(20) else 1)"
    )
    master, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=terminal,
        stdout=subprocess.PIPE,
        cwd=REPOSITORY,
        start_new_session=True,
    ) as process:
        os.close(terminal)
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        os.close(master)
        assert process.wait() == 7


def test_a_relay_before_another_one_passes_every_request_on() -> None:
    passed: list[int] = []
    with SignalRelay(0, all_pass=True) as relay:
        relay.connect(passed.append)
        for _ in range(4):
            os.kill(os.getpid(), signal.SIGTERM)
    assert passed == [signal.SIGTERM] * 4
    assert not relay.killed.is_set()


def test_a_signal_after_the_end_of_the_program_is_ignored() -> None:
    started: list[int] = []

    def fork(_descriptors: tuple[int, int, int, int, int]) -> int:
        started.append(os.fork())
        if not started[-1]:
            os._exit(0)
        return os.pidfd_open(started[-1])

    with SignalRelay(-1) as relay:
        assert Child(b"", fork=fork).run_to_end(lambda *_: None, signals=relay) == []
        signal.raise_signal(signal.SIGTERM)
    os.waitpid(started[0], 0)
