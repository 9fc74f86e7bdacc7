"""``pybuild logs`` without click: the output of a container, or its last lines."""

from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

from pybuild.builder.cli.fast_path.common import KnownFlags, found_container, read
from pybuild.builder.cli.tools import pass_on
from pybuild.builder.containers.catalog import StoredContainer
from pybuild.builder.containers.logs import LogRange, batches, full_time
from pybuild.builder.containers.state import is_watched
from pybuild.builder.options import whole_number
from pybuild.runtime.monitor.log_entries import LogLine

_KNOWN = KnownFlags(
    ones={"-n": "tail", "--tail": "tail"},
    switches={"-f": "follow", "--follow": "follow", "-t": "timestamps", "--timestamps": "timestamps"},
    interspersed=True,
)
WITHOUT = "none"
"""The log driver that keeps no output."""


def command(words: Sequence[str]) -> int | None:
    """Carry out ``logs`` with *words* and return the exit code; None, and nothing is done, when click must do it."""
    given = read(words, _KNOWN)
    if given is None or len(given.words) != 1:
        return None
    tail = given.one("tail") or "all"
    count = None if tail == "all" else whole_number(tail)
    if tail != "all" and count is None:
        return None
    container = found_container(given.words[0])
    if container is None or container.config.host.log_driver == WITHOUT:
        return None
    wanted = LogRange(tail=count)
    show(container, wanted, follow=given.has("follow"), timestamps=given.has("timestamps"))
    return 0


def show(container: StoredContainer, wanted: LogRange, *, follow: bool = False, timestamps: bool = False) -> None:
    """Print the *wanted* output of a container on the streams that it was written to."""
    still = _still(container.directory) if follow else None
    for batch in batches(container.directory, wanted, still, joined=not timestamps):
        for stream, group in groupby(batch, key=lambda line: line.stream):
            pass_on(stream, b"".join(_shown(line, timestamps=timestamps) for line in group))


def _still(directory: Path) -> Callable[[], bool]:
    return lambda: is_watched(directory)


def _shown(line: LogLine, *, timestamps: bool) -> bytes:
    return full_time(line.time).encode() + b" " + line.data if timestamps else line.data
