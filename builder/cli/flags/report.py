"""Flags of ``build`` about what is told of it: how it is shown, files that name the image, questions in its place."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from pybuild.builder.cli.flags.group import group
from pybuild.builder.cli.flags.values import FilePath, OneOf
from pybuild.builder.display.choose import MODES
from pybuild.builder.progress import Progress
from pybuild.runtime.values import frozen


@frozen
class ReportFlags:
    """What these flags say; *output_format* is the media types of the image as well."""

    iidfile: Path | None
    metadata_file: Path | None
    progress: str | None
    quiet: bool
    check: bool
    call: str | None
    output_format: str | None
    log_file: Path | None


report_flags = group(
    "report",
    ReportFlags,
    click.option("--iidfile", type=FilePath(), metavar="FILE", help="Write the image ID to FILE."),
    click.option("--metadata-file", type=FilePath(), metavar="FILE", help="Write digests as JSON to FILE."),
    click.option("--progress", type=OneOf(MODES), help="How progress is shown (default: BUILDKIT_PROGRESS or auto)."),
    click.option("-q", "--quiet", is_flag=True, help="Show nothing but errors; print the image ID."),
    click.option("--check", is_flag=True, help="Build nothing, check the Dockerfile; exit 1 on any warning."),
    click.option(
        "--call",
        metavar="METHOD[,format=FORMAT]",
        help="Show only: check (or lint), outline (parameters), targets, subrequests.describe.",
    ),
    click.option(
        "--format",
        "output_format",
        metavar="FORMAT",
        help="Media types of the image: oci (default) or docker; of --check: text, json, sarif or junit.",
    ),
    click.option(
        "--log-file",
        type=FilePath(dir_okay=False),
        metavar="FILE",
        help="Also write the whole plain log to FILE.",
    ),
)
"""Adds these flags to a command, which gets what they say as ``report``."""


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
