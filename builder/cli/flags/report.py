"""Flags of ``build`` about what is told of it: how it is shown, files that name the image, questions in its place."""

from pathlib import Path

import click

from pybuild.builder.cli.flags.group import group
from pybuild.builder.cli.flags.values import FilePath, OneOf
from pybuild.builder.display.choose import MODES
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
)
"""Adds these flags to a command, which gets what they say as ``report``."""
