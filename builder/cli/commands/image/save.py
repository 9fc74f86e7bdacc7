"""``pybuild save``: images of the store as one archive."""

from pathlib import Path

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.flags.completion_types import IMAGE
from pybuild.builder.cli.flags.no_op import add_no_op_flags
from pybuild.builder.cli.flags.values import FilePath
from pybuild.builder.cli.tools import store, warn
from pybuild.builder.oci.archive.save import save
from pybuild.builder.outputs.files import destination, sink
from pybuild.builder.transports.save import chosen


@click.command("save", cls=Command)
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...", type=IMAGE)
@click.option("-o", "--output", type=FilePath(), metavar="FILE", help="Write to FILE (default: standard output).")
@click.option("--platform", metavar="OS/ARCH[/VARIANT]", help="Save this platform only of multi-platform images.")
@click.option(
    "--format",
    type=click.Choice(["docker-archive", "oci-archive"]),
    expose_value=False,
    help="No effect: the archive has both formats.",
)
@add_no_op_flags("-q/--quiet", "-m/--multi-image-archive", "--compress")
@root_option
def command(images: tuple[str, ...], output: Path | None, platform: str | None) -> None:
    """Save images to one archive that Docker and OCI tools read.

    Layers are written as they are stored, compressed. An image that is given by ID has no name in the archive; a name
    without a tag means all tags of it. FILE appears when it is complete. When the store has only one image of a
    multi-platform image, that one is saved.
    """
    from pybuild.builder.platforms import given_platform

    wanted = given_platform(platform)
    opened = store()
    try:
        with opened.in_use():
            named = chosen(opened, images, wanted, warn)
            with destination(output if str(output) != "-" else None) as file:
                save(opened.blobs, named, sink(file))
    finally:
        opened.close()
