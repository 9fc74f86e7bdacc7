"""The last lines of a log, in bounded memory."""

from collections import deque

from pybuild.builder.display.carriage_returns import Overwriting
from pybuild.builder.display.sanitize import Sanitizer, clean
from pybuild.builder.display.units import clock

_LINE_LIMIT = 2000


class LogTail:
    """Keeps the last *count* lines of what a step printed, each cut at 2000 characters.

    Takes sanitized text in any pieces. A line carries the time at which its first piece came.
    """

    def __init__(self, count: int = 10) -> None:
        self._count = count
        self._lines: deque[tuple[float, str]] = deque(maxlen=count)
        self._open: tuple[float, str] | None = None

    def feed(self, text: str, at: float) -> None:
        """Add *text*, which came *at* seconds after the start of the step."""
        # Only the end of a large piece is processed: one line more than is kept shows that the open line scrolled out.
        *ended, rest = text.rsplit("\n", self._count + 1)
        if len(ended) > self._count:
            del ended[0]
            self._open = None
        for line in ended:
            self._lines.append(self._joined(line, at))
            self._open = None
        if rest:
            self._open = self._joined(rest, at)

    def _joined(self, piece: str, at: float) -> tuple[float, str]:
        since, begun = self._open or (at, "")
        line = begun + piece[: _LINE_LIMIT + 1]
        return since, line if len(line) <= _LINE_LIMIT else line[:_LINE_LIMIT] + "…"

    def lines(self) -> tuple[str, ...]:
        """Return the last lines, an unfinished one too."""
        return tuple(line for _, line in self._kept())

    def timed_lines(self) -> tuple[str, ...]:
        """Return the last lines as the failure block shows them: ``0.206 text``."""
        return tuple(f"{clock(at)} {line}".rstrip() for at, line in self._kept())

    def _kept(self) -> list[tuple[float, str]]:
        kept = [*self._lines, *([self._open] if self._open else [])]
        return kept[-self._count :]


class StepLog:
    """What a step prints, as harmless text in whole lines: incremental filters for each of its streams."""

    def __init__(self) -> None:
        self._streams: dict[int, tuple[Overwriting, Sanitizer]] = {}
        self._open = Overwriting()

    def feed(self, stream: int, data: bytes) -> str:
        """Return the harmless text that a piece of *stream* completes."""
        if stream not in self._streams:
            self._streams[stream] = (Overwriting(), Sanitizer())
        self._open, sanitizer = self._streams[stream]
        return sanitizer.feed(self._open.feed(data))

    def held(self) -> str:
        """Return the unfinished line of the stream that was written to last, as far as it is held back."""
        held = self._open.held()
        return clean(held.decode("utf-8", "replace")).rstrip("\n") if held else ""

    def flush(self) -> str:
        """Return the unfinished lines."""
        return "".join(sanitizer.feed(lines.flush()) for lines, sanitizer in self._streams.values())

    def finish(self) -> str:
        """Return all that the streams held back."""
        return self.flush() + "".join(sanitizer.finish() for _, sanitizer in self._streams.values())
