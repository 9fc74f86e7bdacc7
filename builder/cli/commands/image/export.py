"""``pybuild export``: the root file system of an image as a tar archive."""

from pathlib import Path

import click

from pybuild.builder.cli.flags.naming import platform_option
from pybuild.builder.cli.flags.values import FilePath
from pybuild.builder.cli.flags.words import IMAGE
from pybuild.builder.cli.tools import Command, root_option, store
from pybuild.builder.image.catalog import find_image
from pybuild.builder.outputs.kinds import write
from pybuild.builder.outputs.tar import TarOutput
from pybuild.builder.platforms import parse_platform


@click.command("export", cls=Command, short_help="Write the root file system of an image as a tar archive.")
@click.argument("image", type=IMAGE)
@click.option("-o", "--output", type=FilePath(), metavar="FILE", help="Default, or -: standard output.")
@platform_option
@root_option
def command(image: str, output: Path | None, platform: str | None) -> None:
    """Write the root file system of IMAGE as one tar archive, without its config.

    Other than for docker export it is an image that is exported: pybuild has no containers. What layers hide or replace
    is not in the archive. FILE appears when it is complete. import makes an image of the archive again, and commit
    adds to IMAGE what somebody has changed in it.
    """
    wanted = parse_platform(platform) if platform else None
    opened = store()
    try:
        with opened.in_use():
            found = find_image(opened, image, wanted)
            dest = None if output is None or str(output) == "-" else output
            write(found.descriptor, (), (TarOutput(dest=dest),), opened)
    finally:
        opened.close()
