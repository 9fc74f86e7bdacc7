"""The last lines of a log, in bounded memory."""

from collections import deque

from pybuild.builder.display.carriage_returns import Overwriting
from pybuild.builder.display.sanitize import Sanitizer, clean

_LINE_LIMIT = 2000


class LogTail:
    """Keeps the last *count* lines of what a step printed, each cut at 2000 characters. Takes sanitized text."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._lines: deque[str] = deque(maxlen=count)
        self._open = ""

    def feed(self, text: str) -> None:
        """Add *text*, any piece of the log."""
        # Only the end of a large piece is processed: one line more than is kept shows that the open line scrolled out.
        *ended, rest = text.rsplit("\n", self._count + 1)
        if len(ended) > self._count:
            del ended[0]
            self._open = ""
        for line in ended:
            self._lines.append(self._joined(line))
            self._open = ""
        if rest:
            self._open = self._joined(rest)

    def _joined(self, piece: str) -> str:
        line = self._open + piece[: _LINE_LIMIT + 1]
        return line if len(line) <= _LINE_LIMIT else line[:_LINE_LIMIT] + "…"

    def lines(self) -> tuple[str, ...]:
        """Return the last lines, an unfinished one too."""
        kept = [*self._lines, *([self._open] if self._open else [])]
        return tuple(kept[-self._count :])


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
