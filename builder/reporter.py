"""The steps of a build as the user sees them: numbers, times, output, and how each one ends.

A `Progress` receives events. A `Reporter` numbers the steps of one build for it, and a `RunningStep` is one of them.
`Steps` are those of a plan, each announced before as a `PlannedStep`. A `ReporterState` goes to another process.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from pybuild.builder.errors import BuildError, Cancelled, StepFailed, reason
from pybuild.builder.oci.errors import OciError
from pybuild.builder.plan.plan import Plan, planned_steps, step_id, trigger_phrase
from pybuild.builder.progress import (
    LayerMade,
    PlannedStep,
    Progress,
    StepFinished,
    StepOutput,
    StepsPlanned,
    StepStarted,
    StepStatus,
)
from pybuild.builder.store.cache import BuiltLayer
from pybuild.runtime.errors import RuntimeHostError, TreesNeeded

_FAILURES = (BuildError, OciError, RuntimeHostError, OSError)
# A broken pipe is that of the display or of an output, whose reader is gone.
_NOT_OF_A_STEP = (StepFailed, Cancelled, BrokenPipeError)
_TAIL = 64 << 10
_LAST_LINES = 10  # as in BuildKit


class ReporterState(NamedTuple):
    """How far a reporter has come, for one in another process that continues."""

    begun: int = 0
    planned: int = 0
    steps: tuple[tuple[int, int, float, bool], ...] = ()
    """The steps of the plan that is solved: (vertex, number, start, whether it has ended)."""


class Reporter:
    """Numbers steps in the order in which they first appear. May be used by several threads at once."""

    def __init__(self, progress: Progress, state: ReporterState = ReporterState()) -> None:  # noqa: B008 - immutable
        self.progress = progress
        self._lock = threading.Lock()
        self._begun, self._planned, self._restored = state
        self._solved: dict[int, RunningStep] = {}

    def state(self) -> ReporterState:
        """Return how far it has come."""
        steps = tuple((index, step.number, step.started, step.ended) for index, step in self._solved.items())
        return ReporterState(self._begun, self._planned, steps)

    def resume(self, state: ReporterState) -> None:
        """Continue the numbers of steps from those of another reporter."""
        self._begun, self._planned, _ = state

    def restore_steps(self) -> "dict[int, RunningStep]":
        """Restore and return the steps of the plan that another reporter has begun, by vertex."""
        self._solved = {index: RunningStep(number, self.progress, at, end) for index, number, at, end in self._restored}
        return self._solved

    def begin(self, name: str, planned: PlannedStep | None = None) -> "RunningStep":
        """Announce a step; *planned* is its entry in the plan."""
        with self._lock:
            self._begun += 1
            step = RunningStep(self._begun, self.progress)
            known = planned or PlannedStep(id=step_id(f"step {step.number}"), name=name)
            self.progress(StepStarted(step=step.number, name=name, at=step.started, id=known.id, inputs=known.inputs))
        return step

    def expect(self, plan: Plan, more: int) -> None:
        """Announce how many steps there will be: those of *plan*, and *more* of the builder's own."""
        with self._lock:
            steps = tuple(planned_steps(plan).values())
            self._planned = self._begun + len(steps) + more
            self.progress(StepsPlanned(total=self._planned, steps=steps))

    @contextmanager
    def unplanned(self, name: str) -> Iterator[None]:
        """Show a step that was not announced."""
        with self._lock:
            self._planned += 1
            self.progress(StepsPlanned(total=self._planned))
        with self.step(name):
            yield

    @contextmanager
    def step(self, name: str) -> Iterator["RunningStep"]:
        """Show a step of the builder's own for as long as the block runs."""
        step = self.begin(name)
        try:
            yield step
        except BaseException as error:
            step.fail(error)
            raise
        step.finish()


class RunningStep:
    """One announced step. It ends once; what comes later is ignored."""

    def __init__(self, number: int, progress: Progress, started: float | None = None, ended: bool = False) -> None:
        self.number = number
        self.started = time.monotonic() if started is None else started
        self.layer: LayerMade | None = None
        """The layer of the step, reported when it ends."""
        self._progress, self.ended = progress, ended
        self._tail: deque[tuple[float, bytes]] = deque()
        self._size = 0

    def output(self, stream: int, data: bytes) -> None:
        """Pass on what the step printed, and keep the end of it for an error message."""
        now = time.monotonic()
        self._tail.append((now, data))
        self._size += len(data)
        while self._size > _TAIL and len(self._tail) > 1:
            self._size -= len(self._tail.popleft()[1])
        self._progress(StepOutput(step=self.number, stream=stream, data=data, at=now))

    def say(self, text: str) -> None:
        """Pass on a line of the builder itself."""
        self.output(2, f"{text}\n".encode())

    def status(self, name: str, current: int = 0, total: int = 0) -> None:
        """Report the progress of a part of the step, in bytes; without sizes, that it is done."""
        done, at = current >= total, time.monotonic()
        self._progress(StepStatus(step=self.number, id=name, current=current, total=total, done=done, at=at))

    def finish(self, *, cached: bool = False) -> None:
        """Report that the step is done."""
        self._end(StepFinished(step=self.number, cached=cached, layer=self.layer, at=time.monotonic()))

    def fail(self, error: BaseException) -> None:
        """Report that the step ended with *error*, or was cancelled."""
        text = "" if (stopped := isinstance(error, Cancelled | KeyboardInterrupt)) else reason(error)
        self._end(StepFinished(step=self.number, error=text, cancelled=stopped, at=time.monotonic()))

    def _end(self, event: StepFinished) -> None:
        if not self.ended:
            self.ended = True
            self._progress(event)

    def last_lines(self) -> tuple[str, ...]:
        """Return the last lines of output, each after the time at which it was complete."""
        from pybuild.builder.display.carriage_returns import overwritten

        lines: deque[tuple[float, bytes]] = deque(maxlen=_LAST_LINES)
        rest, at = b"", self.started
        for at, data in self._tail:
            *complete, rest = (rest + data).split(b"\n")
            lines.extend((at, line) for line in complete)
        if rest:
            lines.append((at, rest))
        return tuple(f"{at - self.started:.3f} {overwritten(line).decode(errors='replace')}" for at, line in lines)


class Steps:
    """The vertices of one plan as steps; a vertex is announced once, one without a name never."""

    def __init__(self, plan: Plan, reporter: Reporter) -> None:
        self._plan, self._reporter, self._lock = plan, reporter, threading.Lock()
        self._planned, self._steps = planned_steps(plan), reporter.restore_steps()
        self._unnamed = RunningStep(0, lambda _event: None)

    def report_cached(self, index: int, layer: BuiltLayer | None = None) -> None:
        """Report that a vertex came from the cache, with its layer when that is known."""
        if layer is not None:
            self.note_layer(index, layer)
        self._step(index).finish(cached=True)

    def note_layer(self, index: int, layer: BuiltLayer) -> None:
        """Note the layer of a vertex, to be reported when the vertex ends."""
        self._step(index).layer = LayerMade(digest=str(layer.digest), diff_id=str(layer.diff_id), size=layer.size)

    @contextmanager
    def running(self, index: int) -> Iterator[None]:
        """Show a vertex as running; a failure of the block becomes its StepFailed."""
        step = self._step(index)
        try:
            yield
        except TreesNeeded:  # another process continues the step
            raise
        except BaseException as error:
            step.fail(error)
            if isinstance(error, _FAILURES) and not isinstance(error, _NOT_OF_A_STEP):
                raise self.failed(index, error) from error
            raise
        step.finish()

    @contextmanager
    def aside(self, name: str, index: int) -> Iterator[None]:
        """Show work that is done for a vertex under a name of its own; an error becomes the vertex's StepFailed."""
        try:
            with self._reporter.unplanned(name):
                yield
        except _FAILURES as error:
            if isinstance(error, _NOT_OF_A_STEP):
                raise
            raise self.failed(index, error) from error

    def output(self, index: int) -> Callable[[int, bytes], None]:
        """Return a callback for the output of a vertex: (stream, bytes)."""
        return self._step(index).output

    def say(self, index: int) -> Callable[[str], None]:
        """Return a callback for lines of the builder itself that belong to a vertex."""
        return self._step(index).say

    def status(self, index: int) -> Callable[[str, int, int], None]:
        """Return a callback for the progress of a part of a vertex: (id, bytes done, bytes in all)."""
        return self._step(index).status

    def _step(self, index: int) -> RunningStep:
        name = self._plan.vertices[index].name
        if not name:
            return self._unnamed
        with self._lock:
            if index not in self._steps:
                self._steps[index] = self._reporter.begin(name, self._planned[index])
            return self._steps[index]

    def _blamed(self, index: int) -> int:
        """Return *index*; for a vertex without a name that of the RUN that mounts the hidden copy of the context."""
        vertices = self._plan.vertices
        for user in range(index + 1, len(vertices)):
            if not vertices[index].name and index in vertices[user].inputs:
                index = user
        return index

    def failed(self, index: int, error: Exception) -> StepFailed:
        """Return *error* as the failure of a vertex, with its name, its lines and the end of its output."""
        blamed = self._blamed(index)
        self._step(blamed).fail(error)  # which is announced first, if what it selects was missing
        vertex, trigger = self._plan.vertices[blamed], self._plan.trigger(blamed)
        hints = (trigger_phrase(*trigger) if trigger else "", str(getattr(error, "hint", "")))
        return StepFailed(
            reason(error),
            step=vertex.name,
            lines=self._plan.lines_of(blamed),
            exit_code=getattr(error, "exit_code", None),
            output=self._step(index).last_lines(),
            hint="; ".join(filter(None, hints)),
        )
