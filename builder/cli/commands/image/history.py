"""``pybuild history``: how an image was made, the newest step first."""

from collections.abc import Iterator

import click

from pybuild.builder.cli.command import Command, format_option, root_option
from pybuild.builder.cli.commands.image.images import ago, short_id
from pybuild.builder.cli.flags.completion_types import IMAGE
from pybuild.builder.cli.flags.new_image import platform_option
from pybuild.builder.cli.format.image_filters import seconds
from pybuild.builder.cli.format.listing import Row, listing
from pybuild.builder.cli.tools import say, store
from pybuild.builder.display.sanitize import clean_line
from pybuild.builder.display.units import human_size
from pybuild.builder.image.catalog import find_present
from pybuild.builder.oci.image import Image
from pybuild.builder.platforms import given_platform

_HEADERS = {
    "ID": "IMAGE",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "CreatedBy": "CREATED BY",
    "Size": "SIZE",
    "Comment": "COMMENT",
}
_COLUMNS = ("ID", "CreatedSince", "CreatedBy", "Size", "Comment")
_WIDTH = 45


@click.command("history", cls=Command)
@click.argument("image", type=IMAGE)
@click.option(
    "-H",
    "--human",
    is_flag=True,
    default=True,
    help="Print sizes and dates in human-readable form (default; --human=false turns it off).",
)
@click.option("--no-human", "human", flag_value=False, hidden=True)
@click.option("--no-trunc", is_flag=True, help="Do not truncate the output.")
@click.option("-q", "--quiet", is_flag=True, help="Show only image IDs.")
@format_option
@platform_option
@root_option
def command(
    image: str, template: str | None, platform: str | None, *, human: bool, no_trunc: bool, quiet: bool
) -> None:
    """Show the history of IMAGE, the newest step first.

    SIZE is the size of the layer in the store, compressed.
    """
    wanted = given_platform(platform)
    opened = store()
    try:
        rows = list(_rows(find_present(opened, image, wanted), human=human, whole=no_trunc))
    finally:
        opened.close()
    columns = [name if human or name != "CreatedSince" else "CreatedAt" for name in _COLUMNS]
    text = "\n".join(row["ID"] for row in rows) if quiet else listing(rows, _HEADERS, columns, template)
    if text:
        say(text)


def _rows(image: Image, *, human: bool, whole: bool) -> Iterator[Row]:
    sizes = [layer.size for layer in image.manifest.layers]
    identity = str(image.id) if whole else short_id(str(image.id))
    for entry in reversed(image.config.history):
        # A history may have more entries than there are layers, or fewer. An entry without a layer has no size.
        size = sizes.pop() if not entry.empty_layer and sizes else 0
        by = clean_line(entry.created_by)
        yield {
            "ID": identity,
            "CreatedSince": ago(seconds(entry.created)) if human else entry.created or "N/A",
            "CreatedAt": entry.created or "N/A",
            "CreatedBy": by if whole or len(by) <= _WIDTH else by[: _WIDTH - 1] + "…",
            "Size": human_size(size) if human else str(size),
            "Comment": clean_line(entry.comment),
        }
        identity = "<missing>"
