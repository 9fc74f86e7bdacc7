"""The progress of pull and push: one line that changes on a terminal, and only the results elsewhere."""

import sys
import threading
import time

from pybuild.builder.cli.tools import is_terminal
from pybuild.builder.display.units import progress_size

_EVERY = 0.1


class Meter:
    """A counter of the bytes of all blobs, on standard error. Thread-safe."""

    def __init__(self, verb: str, *, quiet: bool) -> None:
        self._verb = verb
        self._shown = not quiet and is_terminal(2)
        self._moved: dict[str, tuple[int, int]] = {}
        self._next = 0.0
        self._lock = threading.Lock()

    def __call__(self, blob: str, current: int, total: int) -> None:
        """Record the progress of a blob."""
        with self._lock:
            self._moved[blob] = (current, total)
            now = time.monotonic()
            if self._shown and now >= self._next:
                self._next = now + _EVERY
                self._draw()

    def clear(self) -> None:
        """Clear the line for the next output."""
        with self._lock:
            if self._shown and self._moved:
                sys.stderr.write("\r\033[K")
                sys.stderr.flush()

    def _draw(self) -> None:
        current = sum(current for current, _ in self._moved.values())
        total = sum(total for _, total in self._moved.values())
        sys.stderr.write(f"\r\033[K{self._verb} {progress_size(current)} / {progress_size(total)}")
        sys.stderr.flush()


def short(digest: str) -> str:
    """Return the first twelve digits of the digest of a blob."""
    return digest.partition(":")[2][:12]
