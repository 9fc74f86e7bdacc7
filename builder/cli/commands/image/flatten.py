"""``pybuild flatten``: an image with one layer."""

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.flags.build_values import parse_compression
from pybuild.builder.cli.flags.completion_types import IMAGE
from pybuild.builder.cli.flags.new_image import name_image, platform_option, tag_option
from pybuild.builder.cli.tools import say, store
from pybuild.builder.edit.documents import ImageDocuments
from pybuild.builder.edit.flatten import flattened, write_tree
from pybuild.builder.image.catalog import find_image
from pybuild.builder.platforms import given_platform
from pybuild.builder.request.checks import full_names


@click.command("flatten", cls=Command)
@click.argument("image", type=IMAGE)
@tag_option
@click.option(
    "--compression",
    "packed",
    default="gzip",
    metavar="TYPE[,LEVEL]",
    help="Compression of the new layer: gzip (default), zstd or uncompressed.",
)
@platform_option
@root_option
def command(image: str, tags: tuple[str, ...], packed: str, platform: str | None) -> None:
    """Create an image with the files of IMAGE in a single layer, and print its ID.

    Files that upper layers replace or delete are left out. The config is kept, including the creation time; the history
    becomes one entry. The same image always gives the same layer. The new image shares no layer with any other one.
    """
    names = full_names(tags)
    compression = parse_compression(packed)
    opened = store()
    try:
        with opened.in_use():
            source = find_image(opened, image, given_platform(platform))
            layer = write_tree(opened, source, compression)
            made = flattened(ImageDocuments.read(opened.blobs, source), layer).write(opened.blobs, source)
            name_image(opened, made.descriptor, names)
    finally:
        opened.close()
    say(str(made.id))
