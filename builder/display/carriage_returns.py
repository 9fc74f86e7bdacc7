"""Output of steps as a terminal shows it in the end: text that a carriage return overwrites is left out.

A progress bar writes one line a hundred times. In a log that is one line, the last.
"""

_HELD = 4096
"""Bytes of an unfinished line that are held back; a longer line is not a progress bar."""


class Overwriting:
    """Filters a stream: passes on whole lines, of each only the text after its last carriage return.

    An unfinished line is held back until it ends, is flushed or grows too long; what follows a carriage return after
    that is a line of its own.
    """

    def __init__(self) -> None:
        self._held = b""
        self._passed = False
        """The beginning of the open line was passed on."""

    def feed(self, data: bytes) -> bytes:
        """Return what *data* completes."""
        lines, newline, rest = (self._held + data).rpartition(b"\n")
        passed = b""
        if newline:
            first, *others = lines.split(b"\n") if b"\r" in lines else [lines]
            passed = b"\n".join([self._kept(first), *map(overwritten, others)]) + newline
            self._passed = False
        self._held = self._kept(rest)
        return passed + self.flush() if len(self._held) > _HELD else passed

    def held(self) -> bytes:
        """Return the unfinished line, as far as it is held back."""
        return self._held

    def flush(self) -> bytes:
        """Return the unfinished line, which is not held back any more."""
        held, self._held = self._held, b""
        self._passed = self._passed or bool(held)
        return held

    def _kept(self, line: bytes) -> bytes:
        kept = overwritten(line)
        return b"\r" + kept if self._passed and len(kept) < len(line) else kept


def overwritten(line: bytes) -> bytes:
    """Return what follows the last carriage return of a line; those at its very end overwrite nothing."""
    return line[line.rfind(b"\r", 0, len(line.rstrip(b"\r"))) + 1 :]
