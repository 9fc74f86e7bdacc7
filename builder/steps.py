"""The steps of a build as its user sees them: numbers, times, output, and how each one ends."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from builder.errors import BuildError, Cancelled, StepFailed
from builder.plan import Plan
from builder.progress import Progress, StepFinished, StepOutput, StepStarted, StepStatus

_TAIL = 64 << 10


class Steps:
    """Reports the vertices of one plan. A vertex is announced once, numbered in the order of first appearance."""

    def __init__(self, plan: Plan, progress: Progress) -> None:
        self._plan = plan
        self._progress = progress
        self._lock = threading.Lock()
        self._numbers: dict[int, int] = {}
        self._finished: set[int] = set()
        self._tails: dict[int, deque[tuple[float, bytes]]] = {}
        self._started: dict[int, float] = {}

    def cached(self, place: int) -> None:
        """Say that a vertex came from the cache; one that has no name is not shown."""
        if self._plan.vertices[place].name and self._finish_once(place):
            number = self._start(place)
            self._progress(StepFinished(step=number, cached=True, at=time.monotonic()))

    @contextmanager
    def running(self, place: int) -> Iterator[None]:
        """Show a vertex as running; an error that leaves the block becomes the error of the step."""
        if not self._plan.vertices[place].name or place in self._finished:
            yield
            return
        number = self._start(place)
        try:
            yield
        except Cancelled:
            self._end(place, StepFinished(step=number, cancelled=True, at=time.monotonic()))
            raise
        except BaseException as error:
            self._end(place, StepFinished(step=number, error=str(error), at=time.monotonic()))
            if isinstance(error, BuildError) and not isinstance(error, StepFailed):
                raise self._failed(place, error) from error
            raise
        self._end(place, StepFinished(step=number, at=time.monotonic()))

    def output(self, place: int) -> Callable[[int, bytes], None]:
        """Return what takes the output of a vertex: (stream, bytes)."""
        tail = self._tails.setdefault(place, deque())

        def take(stream: int, data: bytes) -> None:
            now = time.monotonic()
            tail.append((now, data))
            while sum(len(piece) for _, piece in tail) > _TAIL and len(tail) > 1:
                tail.popleft()
            self._progress(StepOutput(step=self._numbers[place], stream=stream, data=data, at=now))

        return take

    def status(self, place: int) -> Callable[[str, int, int], None]:
        """Return what takes the progress of a part of a vertex: (id, bytes done, bytes in all)."""

        def take(name: str, current: int, total: int) -> None:
            number, done = self._numbers[place], 0 < total <= current
            self._progress(
                StepStatus(step=number, id=name, current=current, total=total, done=done, at=time.monotonic())
            )

        return take

    def _start(self, place: int) -> int:
        with self._lock:
            if place in self._numbers:
                return self._numbers[place]
            number = self._numbers[place] = len(self._numbers) + 1
            self._started[place] = time.monotonic()
            name = self._plan.vertices[place].name
            self._progress(StepStarted(step=number, name=name, at=self._started[place]))
            return number

    def _finish_once(self, place: int) -> bool:
        with self._lock:
            if place in self._finished:
                return False
            self._finished.add(place)
            return True

    def _end(self, place: int, event: StepFinished) -> None:
        if self._finish_once(place):
            self._progress(event)

    def _failed(self, place: int, error: BuildError) -> StepFailed:
        vertex = self._plan.vertices[place]
        code = getattr(error, "exit_code", None)
        lines = tuple(self._last_lines(place))
        return StepFailed(
            error.message, step=vertex.name, lines=vertex.lines, exit_code=code, output=lines, hint=error.hint
        )

    def _last_lines(self, place: int) -> Iterator[str]:
        started = self._started.get(place, 0.0)
        pieces = list(self._tails.get(place, ()))
        text = b"".join(data for _, data in pieces).decode("utf-8", "replace")
        at = pieces[-1][0] - started if pieces else 0.0
        for line in text.splitlines()[-10:]:
            yield f"{at:.3f} {line}"
