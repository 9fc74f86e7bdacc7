"""No progress at all; of a step that fails the log."""

import threading
from typing import TextIO

from pybuild.builder.display.failed_logs import WholeLog, log_block
from pybuild.builder.progress import Event, StepFinished, StepOutput, StepStarted


class QuietDisplay:
    """Writes to *stream* when it is closed, the log of a step that failed; may be called from any thread."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._steps: dict[int, tuple[StepStarted, WholeLog]] = {}
        self.failed = ""
        """The log of what failed, as far as that is known."""

    def __call__(self, event: Event) -> None:
        """Take in one event."""
        with self._lock:
            match event:
                case StepStarted():
                    self._steps[event.step] = (event, WholeLog())
                case StepOutput(step=number) if number in self._steps:
                    begun, log = self._steps[number]
                    log.feed(event, begun.at)
                case StepFinished(step=number) if number in self._steps:
                    begun, log = self._steps.pop(number)
                    if event.error:
                        self.failed += log_block(begun.name, log.text(event, begun.at))
                    log.close()
                case _:
                    pass

    def close(self) -> None:
        """Show the log of what failed."""
        with self._lock:
            self._stream.write(self.failed)
            self._stream.flush()
