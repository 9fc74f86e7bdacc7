"""Progress as a plain log, in the shape of BuildKit's: one block per step, ``#N`` in front of every line.

Steps run at the same time, a log has one place to write: one step at a time is *current* and writes through, the
others wait. A waiting step gets its turn when the current one ends or falls silent, when it has waited ten seconds,
or when 64 KiB of its output wait, so that nothing is lost and memory stays bounded.
"""

import threading
from typing import TextIO, assert_never

from pybuild.builder.display.log_tail import StepLog
from pybuild.builder.display.sanitize import clean_line
from pybuild.builder.display.units import clock, progress_size
from pybuild.builder.progress import Event, StepFinished, StepOutput, StepsPlanned, StepStarted, StepStatus, Warned

# BuildKit's antiFlicker, maxDelay, minTimeDelta and minProgressDelta (util/progress/progressui/printer.go).
_QUIET_DELAY = 5.0
_MAX_DELAY = 10.0
_PENDING_LIMIT = 64 << 10
_STATUS_DELAY = 5.0
_STATUS_SHARE = 0.05
_OPEN_DELAY = 2.0
"""Seconds of silence after which an unfinished line is shown: a prompt, or the dots of something slow."""


class _Step:
    def __init__(self, number: int, name: str, started: float) -> None:
        self.number, self.name, self.started = number, name, started
        self.log = StepLog()
        self.pending: list[tuple[float, str]] = []
        self.pending_size = 0
        self.waiting_since: float | None = None
        self.mid_line = False
        self.heard = 0.0
        self.open_since: float | None = None
        self.status_starts: dict[str, float] = {}
        self.status_shown: dict[str, StepStatus] = {}
        self.status_news: dict[str, StepStatus] = {}


class PlainDisplay:
    """Writes to *stream*; may be called from any thread. `refresh` has to be called from time to time."""

    def __init__(self, stream: TextIO, *, name_limit: int | None = None) -> None:
        self._stream = stream
        self._name_limit = name_limit
        self._lock = threading.Lock()
        self._open: dict[int, _Step] = {}
        self._current: _Step | None = None
        self._current_at = 0.0
        self._empty = True
        self._warnings: list[Warned] = []

    def __call__(self, event: Event) -> None:
        """Process one event, and write the resulting lines."""
        with self._lock:
            match event:
                case StepStarted():
                    # The header comes with the first output, or with the next refresh: a step that
                    # is found in the cache at once is one block, whatever else starts meanwhile.
                    self._open[event.step] = _Step(event.step, clean_line(event.name), event.at)
                case StepOutput():
                    self._output(event)
                case StepStatus():
                    self._status(event)
                case StepFinished():
                    self._finish(event)
                case Warned():
                    self._warnings.append(event)
                case StepsPlanned():
                    pass
                case _:
                    assert_never(event)
            self._stream.flush()

    def refresh(self, now: float) -> None:
        """Let a waiting step have its turn; called about seven times a second."""
        with self._lock:
            for each in self._open.values():
                if now - each.heard > _OPEN_DELAY:
                    self._add(each, each.log.flush(), now)
            step = self._next(now)
            if step is not None:
                self._show(step, now)
                self._stream.flush()

    def close(self) -> None:
        """Write what still waits, and the summary of warnings."""
        with self._lock:
            waiting = [step for step in self._open.values() if step.pending or step.status_news]
            for step in sorted(waiting, key=lambda step: step is not self._current):
                self._show(step, self._current_at)
            self._end_line()
            if self._warnings:
                from pybuild.builder.display.warnings import summary

                self._stream.write(summary(self._warnings))
            self._stream.flush()

    def _next(self, now: float) -> _Step | None:
        waiting = [step for step in self._open.values() if step is not self._current]
        if self._current is None:
            by_backlog = sorted(waiting, key=lambda step: (-step.pending_size, step.number))
            return by_backlog[0] if by_backlog else None
        return next((step for step in waiting if self._overdue(step, now)), None)

    def _overdue(self, step: _Step, now: float) -> bool:
        if step.waiting_since is None:
            return False
        silent = now - self._current_at > _QUIET_DELAY
        return silent or now - step.waiting_since > _MAX_DELAY or step.pending_size > _PENDING_LIMIT

    def _output(self, event: StepOutput) -> None:
        step = self._open.get(event.step)
        if step is None:
            return
        step.heard = event.at
        self._add(step, step.log.feed(event.stream, event.data), event.at)

    def _add(self, step: _Step, text: str, at: float) -> None:
        since, open_line = step.open_since, step.log.held()
        if "\n" in text or not open_line:
            step.open_since = at if open_line else None
        elif since is None:
            step.open_since = at
        if text:
            # The line that was open has the time at which it began.
            first, newline, rest = text.partition("\n")
            step.pending.append(((at if since is None else since) - step.started, first + newline))
            if rest:
                step.pending.append((at - step.started, rest))
            step.pending_size += len(text)
            self._arrived(step, at)

    def _status(self, event: StepStatus) -> None:
        step = self._open.get(event.step)
        if step is None:
            return
        step.status_starts.setdefault(event.id, event.at)
        last = step.status_shown.get(event.id)
        if last is None or event.done or _moved(last, event):
            step.status_shown[event.id] = event
            step.status_news[event.id] = event
            self._arrived(step, event.at)

    def _arrived(self, step: _Step, at: float) -> None:
        if self._current is None or self._current is step:
            self._show(step, at)
            return
        if step.waiting_since is None:
            step.waiting_since = at
        if self._overdue(step, at):
            self._show(step, at)

    def _finish(self, event: StepFinished) -> None:
        step = self._open.pop(event.step, None)
        if step is None:
            return
        self._add(step, step.log.finish(), event.at)
        self._show(step, event.at)
        self._end_line()
        self._stream.write(f"#{step.number} {_result(step, event)}\n")
        self._current = None

    def _show(self, step: _Step, at: float) -> None:
        if self._current is not step:
            self._switch(step)
        self._current_at = at
        for when, text in step.pending:
            self._write_log(step, when, text)
        if step.status_news:
            self._end_line()
        for status in step.status_news.values():
            self._stream.write(f"#{step.number} {_status_line(status, step.status_starts[status.id])}\n")
        step.pending.clear()
        step.status_news.clear()
        step.pending_size = 0
        step.waiting_since = None

    def _switch(self, step: _Step) -> None:
        if self._current is not None:
            self._end_line()
            self._stream.write(f"#{self._current.number} ...\n")
        name = step.name
        if self._name_limit is not None and len(name) > self._name_limit:
            name = name[: self._name_limit] + "..."
        self._stream.write(f"{'' if self._empty else chr(10)}#{step.number} {name}\n")
        self._empty = False
        self._current = step

    def _write_log(self, step: _Step, when: float, text: str) -> None:
        prefix = f"#{step.number} {clock(when)} "
        ended = text.endswith("\n")
        body = (text[:-1] if ended else text).replace("\n", "\n" + prefix)
        self._stream.write(("" if step.mid_line else prefix) + body + ("\n" if ended else ""))
        step.mid_line = not ended

    def _end_line(self) -> None:
        if self._current is not None and self._current.mid_line:
            self._stream.write("\n")
            self._current.mid_line = False


def _moved(last: StepStatus, now: StepStatus) -> bool:
    share = (now.current - last.current) / now.total if now.total else 0.0
    return share >= _STATUS_SHARE or now.at - last.at >= _STATUS_DELAY


def _status_line(status: StepStatus, started: float) -> str:
    text = clean_line(status.id)
    if status.total:
        text += f" {progress_size(status.current)} / {progress_size(status.total)}"
    elif status.current:
        text += f" {progress_size(status.current)}"
    if status.at - started > 0.01:
        text += f" {status.at - started:.1f}s"
    return text + (" done" if status.done else "")


def _result(step: _Step, event: StepFinished) -> str:
    if event.cancelled:
        return "CANCELED"
    if event.error:
        return f"ERROR: {clean_line(event.error)}"
    return "CACHED" if event.cached else f"DONE {max(0.0, event.at - step.started):.1f}s"
