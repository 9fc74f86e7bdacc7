"""The time that a build may take: when it is over, the build ends as it does when it is interrupted."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pybuild.builder.errors import Cancelled, TimedOut
from pybuild.builder.interrupts import Interrupts
from pybuild.builder.progress import Event, Progress, StepFinished, StepStarted
from pybuild.builder.stages.format_go import duration
from pybuild.runtime.stopping import current_stop, stoppable


class Deadline:
    """The end of the time of one build, and the steps that it finds running."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.passed = False
        """Whether it has ended the build."""
        self.met = False
        """Set when the build is done: what follows may take its time."""
        self._running: dict[int, str] = {}
        self._found: tuple[str, ...] = ()

    def watched(self, progress: Progress) -> Progress:
        """Return *progress* as a build is to call it: the deadline learns which steps run."""

        def watch(event: Event) -> None:
            if isinstance(event, StepStarted):
                self._running[event.step] = event.name
            elif isinstance(event, StepFinished):
                self._running.pop(event.step, None)
            progress(event)

        return watch

    def expire(self) -> None:
        """Note that the time is over, and what runs now."""
        if not self.passed:
            self.passed, self._found = True, tuple(self._running.values())

    def error(self) -> TimedOut:
        """Return the failure of the build."""
        text = f"the build took longer than {shown(self.seconds)} (--timeout)"
        if self._found:
            these = "these steps were" if self._found[1:] else "this step was"
            text += f" while {these} running: {', '.join(self._found)}"
        return TimedOut(text, steps=self._found)


@contextmanager
def in_time(seconds: float) -> Iterator[Deadline]:
    """End the block when it takes longer than *seconds*.

    In the program a signal ends it at any place. A program that embeds pybuild keeps its signals: there the block ends
    where it asks whether to stop, as it does while it waits for the answer of a server.

    Raises:
        TimedOut: it took longer.
    """
    deadline = Deadline(seconds)
    interrupts = Interrupts.current
    is_main = threading.current_thread() is threading.main_thread()
    try:
        with _rung(interrupts, deadline) if interrupts is not None and is_main else stoppable(_stop(deadline)):
            yield deadline
    except BaseException as error:
        if not deadline.passed:
            raise
        raise deadline.error() from error


@contextmanager
def _rung(interrupts: Interrupts, deadline: Deadline) -> Iterator[None]:
    def ring(*_: object) -> None:
        # A signal of the user was first, or there is nothing left to end.
        if not interrupts.came and not deadline.met:
            deadline.expire()
            interrupts.interrupt()

    # Before the timer is set, and restored after it is stopped: by default SIGALRM kills the process.
    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, deadline.seconds)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _stop(deadline: Deadline) -> Callable[[], None]:
    end, outer = time.monotonic() + deadline.seconds, current_stop()

    def stop() -> None:
        outer()
        if time.monotonic() >= end and not deadline.met:
            deadline.expire()
            raise Cancelled("the time of the build is over")

    return stop


def shown(seconds: float) -> str:
    """Return a duration as one writes it: ``10m``, ``1h30m``, ``1.5s``."""
    text = duration(round(seconds * 1e9))
    for zero, unit in (("m0s", "m"), ("h0m", "h")):
        text = text.removesuffix(zero) + unit if text.endswith(zero) else text
    return text
