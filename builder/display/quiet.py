"""No progress, only the log of a step that fails."""

import threading
from typing import TYPE_CHECKING, TextIO

from pybuild.builder.progress import Event, StepFinished, StepOutput, StepStarted

if TYPE_CHECKING:
    # Imported when a step prints something or fails, which none does in a build from the cache.
    from pybuild.builder.display.failed_logs import WholeLog


class QuietDisplay:
    """Writes to *stream* when it is closed, the log of a step that failed; may be called from any thread."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._steps: dict[int, StepStarted] = {}
        self._logs: dict[int, WholeLog] = {}
        self.failed = ""
        """The log of the step that failed, if it is known."""

    def __call__(self, event: Event) -> None:
        """Take in one event."""
        with self._lock:
            match event:
                case StepStarted():
                    self._steps[event.step] = event
                case StepOutput(step=number) if number in self._steps:
                    self._log(number).feed(event, self._steps[number].at)
                case StepFinished(step=number) if number in self._steps:
                    self._finish(self._steps.pop(number), event)
                case _:
                    pass

    def _log(self, number: int) -> "WholeLog":
        from pybuild.builder.display.failed_logs import WholeLog

        if number not in self._logs:
            self._logs[number] = WholeLog()
        return self._logs[number]

    def _finish(self, begun: StepStarted, end: StepFinished) -> None:
        if end.error:
            from pybuild.builder.display.failed_logs import log_block

            self.failed += log_block(begun.name, self._log(end.step).text(end, begun.at))
        if end.step in self._logs:
            self._logs.pop(end.step).close()

    def close(self) -> None:
        """Show the log of what failed."""
        with self._lock:
            self._stream.write(self.failed)
            self._stream.flush()
