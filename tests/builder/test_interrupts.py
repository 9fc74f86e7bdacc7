"""The first signal interrupts, the next ones leave its clean-up alone, the third request ends the process."""

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from pybuild.builder.interrupts import Interrupts, noticed
from pybuild.builder.solve.schedule import run_in_order
from tests.helpers.handlers import ENDING, default_handlers


@pytest.fixture(autouse=True)
def _same_handlers_afterwards() -> Iterator[None]:
    with default_handlers():
        yield


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The exit codes that the process was ended with."""
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    return codes


@pytest.mark.parametrize("sent", ENDING)
def test_only_the_first_signal_interrupts(sent: signal.Signals, ended: list[int]) -> None:
    with Interrupts():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(sent)
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)
    signal.raise_signal(signal.SIGHUP)
    assert ended == []


def test_the_third_request_ends_the_process(ended: list[int]) -> None:
    with Interrupts():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    assert ended == [130]


def test_ignored_signals_stay_ignored_and_the_others_are_given_back() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with Interrupts():
        signal.raise_signal(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_block_that_is_woken_raises_the_interrupt_itself() -> None:
    woken: list[int] = []

    def block() -> None:
        with noticed(lambda: woken.append(1)):
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGHUP)
            woken.append(2)

    with Interrupts():
        with pytest.raises(KeyboardInterrupt):
            block()
        with noticed(lambda: woken.append(3)):
            signal.raise_signal(signal.SIGHUP)
    assert woken == [1, 2]


def test_work_that_cleans_up_is_waited_for_when_a_second_signal_comes() -> None:
    cancel, cleaned = threading.Event(), []

    def work(_place: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        cancel.wait()
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.3)  # so that the wait for this thread is what the signal finds
        cleaned.append("up")

    with Interrupts(), pytest.raises(KeyboardInterrupt):
        run_in_order({0: ()}, work, cancel)
    assert cleaned == ["up"]
