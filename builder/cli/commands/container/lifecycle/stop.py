"""``pybuild stop``: stop containers by a signal, and kill them when they do not exit in time."""

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.commands.container.common import StopFlags, for_each_container, opened_containers
from pybuild.builder.cli.flags.group import takes


@click.command("stop", cls=Command)
@click.argument("names", nargs=-1, required=True, metavar="CONTAINER...")
@takes(StopFlags, "flags")
@root_option
def command(names: tuple[str, ...], *, flags: StopFlags) -> int | None:
    """Stop containers by their stop signal, kill them after 10 seconds, and print their names."""
    with opened_containers() as containers:
        return for_each_container(names, flags.stopping(), containers, at_once=True)
