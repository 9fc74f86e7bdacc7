"""``pybuild wait``: wait until containers exit."""

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.commands.container.common import for_each, opened_containers
from pybuild.builder.cli.tools import say
from pybuild.builder.containers.lifecycle import wait


@click.command("wait", cls=Command)
@click.argument("names", nargs=-1, required=True, metavar="CONTAINER...")
@root_option
def command(names: tuple[str, ...]) -> int | None:
    """Wait until containers exit, one after the other, and print their exit codes."""
    with opened_containers() as containers:
        return for_each(names, lambda name: say(str(wait(containers.find(name)))))
