"""The time of a build: what ends it, what does not, and what the failure tells."""

import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from pybuild.builder.deadline import Deadline, in_time, shown
from pybuild.builder.errors import Cancelled, TimedOut
from pybuild.builder.interrupts import Interrupts, noticed
from pybuild.builder.progress import Event, StepFinished, StepStarted
from pybuild.runtime.stopping import check, stoppable
from tests.helpers.handlers import default_handlers


@pytest.fixture(autouse=True)
def _same_handlers_afterwards() -> Iterator[None]:
    with default_handlers():
        yield


def begin(deadline: Deadline, *names: str) -> None:
    events: list[Event] = []
    progress = deadline.watched(events.append)
    for number, name in enumerate(("done", *names)):
        progress(StepStarted(step=number, name=name, at=0.0, id=name))
    progress(StepFinished(step=0, at=0.0))
    assert len(events) == len(names) + 2


def limited(work: Callable[[Deadline], object]) -> None:
    with in_time(60) as deadline:
        assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 60
        work(deadline)


def shorten() -> None:
    """Let the rest of the time be a moment, now that the test is ready for its end."""
    signal.setitimer(signal.ITIMER_REAL, 0.05)


def work_until_stopped(deadline: Deadline) -> None:
    begin(deadline, "RUN a")
    for _ in range(500):
        time.sleep(0.01)
        check()


def test_the_program_is_interrupted_while_it_waits() -> None:
    def wait(deadline: Deadline) -> None:
        begin(deadline, "RUN a", "RUN b")
        shorten()
        threading.Event().wait(60)

    text = "the build took longer than 1m (--timeout) while these steps were running: RUN a, RUN b"
    with Interrupts() as interrupts, pytest.raises(TimedOut) as caught:
        limited(wait)
    assert (str(caught.value), caught.value.steps) == (text, ("RUN a", "RUN b"))
    assert interrupts.came
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_threads_are_waited_for_as_at_a_signal() -> None:
    woken: list[int] = []

    def wait(_deadline: Deadline) -> None:
        with noticed(lambda: woken.append(1)):
            shorten()
            while not woken:
                time.sleep(0.01)
            time.sleep(0.05)
            woken.append(2)

    with Interrupts(), pytest.raises(TimedOut):
        limited(wait)
    assert woken == [1, 2]


def test_a_signal_of_the_user_stays_an_interrupt() -> None:
    def end(_deadline: Deadline) -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGALRM)

    with Interrupts(), pytest.raises(KeyboardInterrupt):
        limited(end)


def test_what_follows_a_build_may_take_its_time() -> None:
    with Interrupts() as interrupts, in_time(60) as deadline:
        deadline.met = True
        signal.raise_signal(signal.SIGALRM)
    assert not interrupts.came


@pytest.mark.parametrize("seconds", [0.05, 60])
def test_a_failure_within_the_time_is_its_own(seconds: float) -> None:
    with Interrupts(), pytest.raises(ValueError, match="own"), in_time(60):
        raise ValueError("own")
    with pytest.raises(ValueError, match="own"), in_time(seconds):
        raise ValueError("own")


def test_without_the_handlers_of_the_program_it_ends_where_it_asks() -> None:
    before, during = signal.getsignal(signal.SIGALRM), []

    def work(deadline: Deadline) -> None:
        during.append(signal.getsignal(signal.SIGALRM))
        work_until_stopped(deadline)

    with pytest.raises(TimedOut, match=r"while this step was running: RUN a$"), in_time(0.05) as deadline:
        work(deadline)
    assert during == [before]


def test_what_stops_the_thread_otherwise_still_does() -> None:
    def stop() -> None:
        raise Cancelled("cancelled")

    with stoppable(stop):
        with pytest.raises(Cancelled), in_time(60):
            check()
        with pytest.raises(Cancelled):
            check()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(600, "10m"), (5400, "1h30m"), (3600, "1h"), (90, "1m30s"), (1.5, "1.5s"), (20, "20s"), (0.25, "250ms")],
)
def test_a_duration_is_shown_as_one_writes_it(seconds: float, text: str) -> None:
    assert shown(seconds) == text
