"""The thread that refreshes a display."""

import threading

from pybuild.builder.display.ticker import Ticker
from pybuild.builder.progress import StepFinished, StepsPlanned, StepStarted, Warned

_LONG = 30.0
_STARTED, _FINISHED = StepStarted(step=1, name="x", at=0.0), StepFinished(step=1, at=0.0)
_PLANNED = StepsPlanned(total=1)


def runs() -> bool:
    return any(thread.name == "display" for thread in threading.enumerate())


def test_it_refreshes_until_it_is_closed() -> None:
    times: list[float] = []
    thrice = threading.Event()

    def refresh(now: float) -> None:
        times.append(now)
        if len(times) == 3:
            thrice.set()

    ticker = Ticker(refresh, 0.001)
    ticker.note(_PLANNED)
    assert thrice.wait(_LONG)
    ticker.close()
    known = len(times)
    assert times == sorted(times)
    assert not runs()
    assert len(times) == known


def test_close_does_not_wait_for_the_interval() -> None:
    calls: list[float] = []
    ticker = Ticker(calls.append, 3600)
    ticker.note(_PLANNED)
    ticker.close()
    assert calls == []


def test_before_the_plan_there_is_a_thread_while_a_step_is_open_only() -> None:
    ticker = Ticker(print, 3600)
    seen = [runs()]
    for event in (Warned(message="x"), _STARTED, _STARTED, _FINISHED, _FINISHED, _STARTED, _FINISHED):
        ticker.note(event)
        seen.append(runs())
    assert seen == [False, False, True, True, True, False, True, False]
    ticker.close()


def test_after_the_plan_the_thread_stays() -> None:
    ticker = Ticker(print, 3600)
    seen = []
    for event in (_STARTED, _FINISHED, _PLANNED, _STARTED, _FINISHED):
        ticker.note(event)
        seen.append(runs())
    assert seen == [True, False, True, True, True]
    ticker.close()
    assert not runs()


def test_a_stream_that_is_closed_ends_the_thread() -> None:
    calls: list[float] = []

    def refresh(now: float) -> None:
        calls.append(now)
        raise BrokenPipeError

    ticker = Ticker(refresh, 0.001)
    ticker.note(_PLANNED)
    assert ticker._thread is not None
    ticker._thread.join(_LONG)
    assert not ticker._thread.is_alive()
    assert len(calls) == 1
    ticker.close()
