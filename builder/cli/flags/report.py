"""Flags of ``build`` about what it reports: progress, files with the image ID, and ``--check`` and ``--call``."""

from pathlib import Path

from pybuild.builder.cli.flags import fast_path
from pybuild.builder.cli.flags.group import option
from pybuild.builder.cli.flags.values import FilePath, OneOf
from pybuild.builder.display.choose import MODES
from pybuild.runtime.values import frozen


@frozen
class ReportFlags:
    """Flags about what is reported; *output_format* is the media types of the image as well."""

    iidfile: Path | None = option(
        "--iidfile",
        type=FilePath(),
        metavar="FILE",
        help="Write the image ID to FILE.",
    )
    metadata_file: Path | None = option(
        "--metadata-file",
        type=FilePath(),
        metavar="FILE",
        help="Write metadata of the build result to FILE, as JSON.",
    )
    progress: str | None = option(
        *fast_path.PROGRESS,
        type=OneOf(MODES),
        help="Type of progress output (default: $BUILDKIT_PROGRESS, else auto).",
    )
    quiet: bool = option(
        *fast_path.QUIET,
        is_flag=True,
        help="Suppress the build output and print the image ID.",
    )
    check: bool = option(
        "--check",
        is_flag=True,
        help="Check the Dockerfile and do not build; exit with 1 when there are warnings.",
    )
    call: str | None = option(
        "--call",
        metavar="METHOD[,format=FORMAT]",
        help="Evaluate the Dockerfile in another way and do not build: check (or lint), outline, targets or "
        "subrequests.describe.",
    )
    older_call: str | None = option("--print", hidden=True)
    """The name that ``--call`` had in older versions of buildx."""
    output_format: str | None = option(
        "--format",
        metavar="FORMAT",
        help="Media types of the image: oci (default) or docker. With --check, the format of the report: text, json, "
        "sarif or junit.",
    )
    log_file: Path | None = option(
        "--log-file",
        type=FilePath(dir_okay=False),
        metavar="FILE",
        help="Also write the complete log, as with --progress=plain, to FILE.",
    )
