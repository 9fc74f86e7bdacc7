"""``pybuild unpause``: resume the processes of paused containers."""

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.commands.container.common import for_each_container, opened_containers
from pybuild.builder.containers.lifecycle import unpause


@click.command("unpause", cls=Command)
@click.argument("names", nargs=-1, required=True, metavar="CONTAINER...")
@root_option
def command(names: tuple[str, ...]) -> int | None:
    """Resume all processes of paused containers, and print their names."""
    with opened_containers() as containers:
        return for_each_container(names, unpause, containers)
