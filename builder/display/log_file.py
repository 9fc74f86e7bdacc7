"""The complete plain log of a build in a file, whatever the display on the terminal shows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from pybuild.builder.display.plain import PlainDisplay
from pybuild.builder.progress import Event, Progress
from pybuild.builder.store.free_space import writing

Logging = Callable[[Progress], Progress]
"""Returns a progress that writes to the log before it passes events on."""


@contextmanager
def log_file(path: Path, describe: Callable[[BaseException], str]) -> Iterator[Logging]:
    """Write the log to *path*, replacing what is there; an exception that ends the block is logged as well.

    Raises:
        OSError: the file cannot be written.
    """
    with _open(path) as stream:
        log = PlainDisplay(stream)
        try:
            yield lambda shown: _both(log, path, shown)
        except BaseException as error:
            log.close()
            stream.write(describe(error))
            raise
        with writing(path):
            log.close()


@contextmanager
def _open(path: Path) -> Iterator[TextIO]:
    with writing(path):
        stream = path.open("w", encoding="utf-8", errors="backslashreplace")
    try:
        yield stream
    finally:
        with writing(path):
            stream.close()


def _both(log: PlainDisplay, path: Path, shown: Progress) -> Progress:
    def progress(event: Event) -> None:
        with writing(path):
            log(event)
        shown(event)

    return progress
