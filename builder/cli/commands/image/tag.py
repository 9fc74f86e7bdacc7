"""``pybuild tag``: another name for an image."""

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.flags.completion_types import IMAGE
from pybuild.builder.cli.image_events import log_image_event
from pybuild.builder.cli.tools import store
from pybuild.builder.image.catalog import familiar, find
from pybuild.builder.request.checks import new_name


@click.command("tag", cls=Command)
@click.argument("source", metavar="SOURCE", type=IMAGE)
@click.argument("target", metavar="TARGET[:TAG]")
@root_option
def command(source: str, target: str) -> None:
    """Create the name TARGET for the image SOURCE; a name that exists is moved to it."""
    name = new_name(target)
    opened = store()
    try:
        with opened.in_use():
            found = find(opened, source)
            opened.layout.tag(name, found.descriptor)
            log_image_event(opened, "tag", found.id, familiar(name))
    finally:
        opened.close()
