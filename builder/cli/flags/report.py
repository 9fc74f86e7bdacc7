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
    click.option(
        "--metadata-file", type=FilePath(), metavar="FILE", help="Write metadata of the build result to FILE, as JSON."
    ),
    click.option(
        "--progress", type=OneOf(MODES), help="Type of progress output (default: $BUILDKIT_PROGRESS, else auto)."
    ),
    click.option("-q", "--quiet", is_flag=True, help="Suppress the build output and print the image ID."),
    click.option(
        "--check", is_flag=True, help="Check the Dockerfile and do not build; exit with 1 when there are warnings."
    ),
    click.option(
        "--call",
        metavar="METHOD[,format=FORMAT]",
        help="Evaluate the Dockerfile in another way and do not build: check (or lint), outline, targets or "
        "subrequests.describe.",
    ),
    click.option(
        "--format",
        "output_format",
        metavar="FORMAT",
        help="Media types of the image: oci (default) or docker. With --check, the format of the report: text, json, "
        "sarif or junit.",
    ),
    click.option(
        "--log-file",
        type=FilePath(dir_okay=False),
        metavar="FILE",
        help="Also write the complete log, as with --progress=plain, to FILE.",
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
