"""The thread that refreshes a display."""

import threading

from pybuild.builder.display.ticker import Ticker

_LONG = 30.0


def test_it_refreshes_until_it_is_closed() -> None:
    times: list[float] = []
    thrice = threading.Event()

    def refresh(now: float) -> None:
        times.append(now)
        if len(times) == 3:
            thrice.set()

    ticker = Ticker(refresh, 0.001)
    assert thrice.wait(_LONG)
    ticker.close()
    known = len(times)
    assert times == sorted(times)
    assert not [thread for thread in threading.enumerate() if thread.name == "display"]
    assert len(times) == known


def test_close_does_not_wait_for_the_interval() -> None:
    calls: list[float] = []
    ticker = Ticker(calls.append, 3600)
    ticker.close()
    assert calls == []


def test_a_stream_that_is_closed_ends_the_thread() -> None:
    calls: list[float] = []

    def refresh(now: float) -> None:
        calls.append(now)
        raise BrokenPipeError

    ticker = Ticker(refresh, 0.001)
    ticker._thread.join(_LONG)
    assert not ticker._thread.is_alive()
    assert len(calls) == 1
    ticker.close()
