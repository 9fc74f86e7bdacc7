"""The whole log of a step that failed, for displays that have shown at most its last lines."""

import os
import stat
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import IO

from pybuild.builder.display.log_tail import StepLog
from pybuild.builder.display.sanitize import clean_line
from pybuild.builder.display.units import clock
from pybuild.builder.progress import StepFinished, StepOutput

_PREFIX = "pybuild-log-"
_KEPT = 5
"""Files with whole logs that stay in $TMPDIR: no command comes to an end at which they could be removed."""
_LIMIT = 2 << 20
"""Characters of a log that are shown at most: BuildKit keeps 2 MiB as well."""


class WholeLog:
    """The sanitized output of a step, with times: in memory up to a limit, beyond that also in a file."""

    def __init__(self, limit: int = _LIMIT) -> None:
        self._limit = limit
        self._log = StepLog()
        self._parts: deque[str] = deque()
        self._size = self._dropped = 0
        self._spilled: IO[str] | None = None

    def feed(self, event: StepOutput, started: float) -> None:
        """Add what the step printed."""
        self._add(self._log.feed(event.stream, event.data), event.at - started)

    def text(self, end: StepFinished, started: float) -> str:
        """Return the log, or its end behind a line that says where all of it is."""
        self._add(self._log.finish(), end.at - started)
        shown = "".join(self._parts)
        return f"{self._told()}\n{shown}" if self._dropped else shown

    def close(self) -> None:
        """Close the file."""
        if self._spilled is not None:
            self._spilled.close()

    def _add(self, text: str, at: float) -> None:
        if not text:
            return
        prefix = f"{clock(at)} "
        part = prefix + text.removesuffix("\n").replace("\n", "\n" + prefix) + "\n"
        self._parts.append(part)
        self._size += len(part)
        if self._spilled is not None or self._size > self._limit:
            self._spill(part)
        while self._size > self._limit and len(self._parts) > 1:
            gone = self._parts.popleft()
            self._size -= len(gone)
            self._dropped += gone.count("\n")

    def _spill(self, part: str) -> None:
        try:
            if self._spilled is None and not self._dropped:
                # The file has no name, so nothing is left when the builder is killed.
                import tempfile

                self._spilled = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed by close
                part = "".join(self._parts)
            if self._spilled is not None:
                self._spilled.write(part)
        except OSError:
            # A full disk must not end the build, and the end of the log is in memory anyway.
            self._spilled = None

    def _told(self) -> str:
        path = ""
        with suppress(OSError):  # the disk is full: the message says that the lines are lost
            path = self._kept_file()
        where = f"are in {path}" if path else "are lost: --log-file FILE keeps all of them"
        return f"[{self._dropped} lines before these {where}]"

    def _kept_file(self) -> str:
        if self._spilled is None:
            return ""
        self._spilled.seek(0)
        import tempfile

        _forget_older(Path(tempfile.gettempdir()))
        handle, path = tempfile.mkstemp(prefix=_PREFIX, suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            while piece := self._spilled.read(1 << 20):
                file.write(piece)
        return path


def _forget_older(directory: Path) -> None:
    """Remove the logs of this user in *directory*, but for the newest ones, to which the next one is added."""
    found = []
    for path in directory.glob(f"{_PREFIX}*.txt"):
        with suppress(OSError):
            status = path.lstat()
            if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid():
                found.append((status.st_mtime_ns, path))
    for _, path in sorted(found, reverse=True)[_KEPT - 1 :]:
        with suppress(OSError):
            path.unlink()


def log_block(name: str, log: str) -> str:
    """Return the log of the step *name* in BuildKit's frame; empty for a step without output."""
    return f"------\n > {clean_line(name)}:\n{log}------\n" if log else ""
