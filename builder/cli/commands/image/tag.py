"""``pybuild tag``: another name for an image."""

import click

from pybuild.builder.cli.flags.words import IMAGE
from pybuild.builder.cli.tools import Command, root_option, store
from pybuild.builder.image.catalog import find
from pybuild.builder.image.names import new_name


@click.command("tag", cls=Command, short_help="Give an image another name.")
@click.argument("source", metavar="SOURCE", type=IMAGE)
@click.argument("target", metavar="TARGET[:TAG]")
@root_option
def command(source: str, target: str) -> None:
    """Let TARGET name the image SOURCE from now on, whatever it named before."""
    name = new_name(target)
    opened = store()
    try:
        with opened.in_use():
            opened.layout.tag(name, find(opened, source).descriptor)
    finally:
        opened.close()
