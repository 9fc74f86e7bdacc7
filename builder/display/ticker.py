"""A thread that refreshes a display, so that it moves while nothing happens."""

import threading
import time
from collections.abc import Callable

from pybuild.builder.progress import Event, StepFinished, StepsPlanned, StepStarted


class Ticker:
    """Calls *refresh* with the monotonic time every *interval* seconds, in a thread.

    Until the steps are planned, the thread lives while a step is open only: in between, the process has one thread, and
    may be forked (`builder.graph.planner_process`).
    """

    def __init__(self, refresh: Callable[[float], None], interval: float) -> None:
        self._refresh = refresh
        self._interval = interval
        self._lock = threading.Lock()
        self._open = 0
        self._planned = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def note(self, event: Event) -> None:
        """Start or stop the thread after *event*."""
        if self._planned:
            return
        with self._lock:
            match event:
                case StepStarted():
                    self._open += 1
                case StepFinished():
                    self._open -= 1
                case StepsPlanned():
                    self._planned = True
                case _:
                    return
            if not (self._planned or self._open):
                self._end()
            elif self._thread is None:
                self._stop.clear()
                thread = threading.Thread(target=self._run, name="display", daemon=True)
                # Kept when it has started: one that could not be started must not be joined.
                thread.start()
                self._thread = thread

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            try:
                self._refresh(time.monotonic())
            except OSError:
                # The stream is closed. The next write from a thread of the build reports it.
                return

    def _end(self) -> None:
        if self._thread is not None:
            self._stop.set()
            self._thread.join()
            self._thread = None

    def close(self) -> None:
        """Stop; no call runs when this returns."""
        with self._lock:
            self._end()
