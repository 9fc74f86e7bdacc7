"""The plain log of a build in a file, whole, whatever the display on the terminal shows or leaves out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.display.plain import PlainDisplay
from builder.progress import Event, Progress

Logging = Callable[[Progress], Progress]
"""Returns a progress that goes to the log first."""


@contextmanager
def log_file(path: Path, describe: Callable[[BaseException], str]) -> Iterator[Logging]:
    """Write the log to *path*, replacing what is there; an exception that ends the block is told in it as well.

    Raises:
        OSError: the file cannot be written.
    """
    with path.open("w", encoding="utf-8", errors="backslashreplace") as stream:
        log = PlainDisplay(stream)
        try:
            yield lambda shown: _both(log, shown)
        except BaseException as error:
            log.close()
            stream.write(describe(error))
            raise
        log.close()


def _both(first: Progress, second: Progress) -> Progress:
    def progress(event: Event) -> None:
        first(event)
        second(event)

    return progress
