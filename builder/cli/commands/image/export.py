"""``pybuild export``: write the root file system of an image or a container as a tar archive."""

from pathlib import Path

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.flags.completion_types import IMAGE
from pybuild.builder.cli.flags.new_image import platform_option
from pybuild.builder.cli.flags.values import FilePath
from pybuild.builder.cli.tools import store
from pybuild.builder.containers.catalog import lookup
from pybuild.builder.image.catalog import find_image
from pybuild.builder.outputs.kinds import write
from pybuild.builder.outputs.tar import TarOutput
from pybuild.builder.platforms import given_platform


@click.command("export", cls=Command)
@click.argument("image", type=IMAGE)
@click.option(
    "-o", "--output", type=FilePath(), metavar="FILE", help="Write to FILE; the default, and -, is standard output."
)
@platform_option
@root_option
def command(image: str, output: Path | None, platform: str | None) -> None:
    """Write the root file system of IMAGE, or of a container of this name, as one tar archive, without its config.

    Of a container, volumes are left out. Files of an image that upper layers replace or delete
    are not in the archive. FILE appears when it is complete. "pybuild import" creates an image from such an archive,
    and "pybuild commit" adds to IMAGE what was changed in it.
    """
    wanted = given_platform(platform)
    opened = store()
    dest = None if output is None or str(output) == "-" else output
    try:
        if lookup(opened, image) is not None:
            from pybuild.builder.cli.commands.container.access.diff import export

            export(image, dest)
            return
        with opened.in_use():
            found = find_image(opened, image, wanted)
            write(((), found.descriptor), (TarOutput(dest=dest),), opened)
    finally:
        opened.close()
