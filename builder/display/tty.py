"""Progress as a live view in the shape of BuildKit's: one line per step, repainted in place.

    [+] Building 12.3s (7/9)
     => CACHED [stage 1/5] FROM docker.io/library/debian          0.0s
     => [stage 2/5] RUN make                                      9.1s
     => => # cc -c main.c

Events only change the state; `refresh` paints it, so the rate of painting does not depend on what steps print.
"""

import os
import threading
from collections.abc import Callable
from typing import TextIO, assert_never

from pybuild.builder.display.colors import Colors
from pybuild.builder.display.failed_logs import WholeLog, log_block
from pybuild.builder.display.log_tail import LogTail, StepLog
from pybuild.builder.display.sanitize import clean_line
from pybuild.builder.display.text_width import aligned, cut, width
from pybuild.builder.display.units import progress_size
from pybuild.builder.display.warnings import summary
from pybuild.builder.progress import Event, StepFinished, StepOutput, StepsPlanned, StepStarted, StepStatus, Warned

_HIDE_CURSOR, _SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
_CLEAR_LINE, _CLEAR_BELOW = "\x1b[K", "\x1b[J"
_SMALLEST = 20


class _Step:
    def __init__(self, name: str, started: float, tail: LogTail) -> None:
        self.name, self.started, self.tail = name, started, tail
        self.log, self.whole = StepLog(), WholeLog()
        self.statuses: dict[str, tuple[float, StepStatus]] = {}
        self.finished: StepFinished | None = None

    def title(self) -> str:
        end = self.finished
        if end is None:
            return self.name
        if end.cancelled:
            return "CANCELED " + self.name
        if end.error:
            return "ERROR " + self.name
        return "CACHED " + self.name if end.cached else self.name

    def color(self, colors: Colors) -> str:
        end = self.finished
        if end is None:
            return ""
        if end.cancelled:
            return colors.cancel
        return colors.error if end.error else colors.run


class TtyDisplay:
    """Paints on *stream*, a terminal whose size *measure* returns as (columns, lines)."""

    def __init__(
        self,
        stream: TextIO,
        *,
        colors: Colors,
        log_lines: int,
        clock: Callable[[], float],
        measure: Callable[[], tuple[int, int]],
    ) -> None:
        self._stream = stream
        self._colors = colors
        self._log_lines = log_lines
        self._clock = clock
        self._measure = measure
        self._lock = threading.Lock()
        self._begun = clock()
        self._steps: dict[int, _Step] = {}
        self._warnings: list[Warned] = []
        self._painted: list[int] = []
        self._planned = 0
        self.failed = ""
        """The log of the step that failed, if it is known."""

    def __call__(self, event: Event) -> None:
        """Take in one event; it becomes visible with the next refresh."""
        with self._lock:
            match event:
                case StepStarted():
                    tail = LogTail(self._log_lines)
                    self._steps[event.step] = _Step(clean_line(event.name), event.at, tail)
                case StepsPlanned():
                    self._planned = event.total
                case StepOutput(step=number):
                    if number in self._steps:
                        step = self._steps[number]
                        step.tail.feed(step.log.feed(event.stream, event.data))
                        step.whole.feed(event, step.started)
                case StepStatus(step=number):
                    if number in self._steps:
                        started, _ = self._steps[number].statuses.get(event.id, (event.at, None))
                        self._steps[number].statuses[event.id] = (started, event)
                case StepFinished(step=number):
                    if number in self._steps:
                        self._finish(self._steps[number], event)
                case Warned():
                    self._warnings.append(event)
                case _:
                    assert_never(event)

    def _finish(self, step: _Step, event: StepFinished) -> None:
        step.finished = event
        if event.error:
            self.failed += log_block(step.name, step.whole.text(event, step.started))
        step.whole.close()

    def refresh(self, now: float) -> None:
        """Paint the steps, as many as the terminal has lines for."""
        with self._lock:
            if not self._steps:
                return  # with a mistake on the command line there is no build to show
            columns, lines = self._measure()
            # A line that filled the last column would lose its last character, on which the cursor still is when the
            # rest of the line is cleared. The last row is for the cursor below the frame.
            self._paint(self._frame(now, columns - 1, lines - 1), columns)

    def close(self) -> None:
        """Paint all steps a last time and leave the cursor below them, and below the whole log of one that failed."""
        with self._lock:
            if self._steps:
                columns, _ = self._measure()
                self._paint(self._frame(self._clock(), columns - 1, None), columns)
            text = summary(self._warnings)
            self._stream.write(self._colors.paint(text, self._colors.warning) if text else "")
            self._stream.write((_SHOW_CURSOR if self._steps else "") + self.failed)
            self._stream.flush()

    def _paint(self, frame: list[tuple[str, str]], columns: int) -> None:
        # A terminal that became narrower has wrapped the old lines, so there are more rows to go up.
        rows = sum(1 + max(0, painted - 1) // max(1, columns) for painted in self._painted)
        up = f"\x1b[{rows}A" if rows else ""
        # Each line is cleared behind its new text. Clearing it first would make it flicker.
        body = "".join(self._colors.paint(text, code) + _CLEAR_LINE + "\n" for text, code in frame)
        self._stream.write(f"{_HIDE_CURSOR}\r{up}{body}{_CLEAR_BELOW}")
        self._stream.flush()
        self._painted = [width(text) for text, _ in frame]

    def _frame(self, now: float, columns: int, lines: int | None) -> list[tuple[str, str]]:
        columns = max(columns, _SMALLEST)
        head = f"[+] Building {now - self._begun:.1f}s{self._count(last=lines is None)}"
        return [(cut(head, columns), ""), *self._body(now, columns, lines)]

    def _count(self, *, last: bool) -> str:
        """Return how many steps are done, and of how many; nothing while that is not known."""
        ends = [step.finished for step in self._steps.values()]
        failed = any(end is not None and end.error for end in ends)
        done = sum(end is not None and not end.error and not end.cancelled for end in ends)
        total = max(self._planned, len(ends))
        if last and not failed and done == len(ends):
            # Steps of the plan that turned out not to be needed were never started.
            return f" ({done}/{done}) FINISHED"
        count = f" ({done}/{total})" if self._planned else ""
        return count + (" FAILED" if failed else " CANCELED" if last else "")

    def _body(self, now: float, columns: int, lines: int | None) -> list[tuple[str, str]]:
        blocks = [(step, self._step_lines(step, now, columns)) for step in self._steps.values()]
        if lines is None:
            return [line for _, block in blocks for line in block]
        room = lines - 1
        # When there are too few rows, finished steps are left out first, oldest first, then details of running ones.
        for step, block in blocks:
            if step.finished is not None and sum(len(block) for _, block in blocks) > room:
                block.clear()
        room -= sum(len(block) for _, block in blocks)
        for step, block in blocks:
            if step.finished is None and room > 0:
                log = self._log(step, columns)[-room:]
                block.extend(log)
                room -= len(log)
        return [line for _, block in blocks for line in block][: max(0, lines - 1)]

    def _step_lines(self, step: _Step, now: float, columns: int) -> list[tuple[str, str]]:
        color = step.color(self._colors)
        until = step.finished.at if step.finished is not None else now
        lines = [(aligned(f" => {step.title()}", _timer(until - step.started), columns), color)]
        for started, status in step.statuses.values():
            until = status.at if status.done or step.finished is not None else now
            text = _status_row(clean_line(status.id), _amount(status), _timer(until - started), columns)
            lines.append((text, self._colors.run if status.done else color))
        return lines

    def _log(self, step: _Step, columns: int) -> list[tuple[str, str]]:
        held = step.log.held()
        found = [*step.tail.lines(), *([held] if held else [])][-self._log_lines :]
        lines = [line.expandtabs() for line in found]
        return [(cut(f" => => # {line}", columns), self._colors.faint) for line in lines if line.strip()]


def _timer(seconds: float) -> str:
    # Very short times are shown as 0.0s, because they are only jitter of the clock.
    return f" {seconds if seconds >= 0.05 else 0.0:.1f}s"


def _status_row(name: str, amount: str, timer: str, columns: int) -> str:
    """Return a row whose name is cut before its numbers are."""
    amount = f" {amount}" if amount else ""
    start = cut(f" => => {name}", columns - width(amount) - width(timer))
    return aligned(start + amount, timer, columns)


def _amount(status: StepStatus) -> str:
    if status.total:
        return f"{progress_size(status.current)} / {progress_size(status.total)}"
    return progress_size(status.current) if status.current else ""


def terminal_size(stream: TextIO) -> tuple[int, int]:
    """Return (columns, lines) of the terminal behind *stream*, 80 by 24 when it is unknown."""
    try:
        size = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):  # no terminal, or a closed stream
        return 80, 24
    return size.columns or 80, size.lines or 24
