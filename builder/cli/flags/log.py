"""``build --log-file``."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from pybuild.builder.cli.flags.values import FilePath
from pybuild.builder.progress import Progress


def log_flag(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flag to a command."""
    return click.option(
        "--log-file",
        type=FilePath(dir_okay=False),
        metavar="FILE",
        help="Also write the whole plain log to FILE.",
    )(function)


@contextmanager
def logged(path: Path | None) -> Iterator[Callable[[Progress], Progress]]:
    """Give what adds the log in *path*, when there is to be one, to a display. Raises OSError."""
    if path is None:
        yield lambda shown: shown
        return
    from pybuild.builder.cli.failures import describe
    from pybuild.builder.display.log_file import log_file

    with log_file(path, lambda error: describe(error).text) as logging:
        yield logging
