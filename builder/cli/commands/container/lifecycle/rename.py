"""``pybuild rename``: rename a container."""

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.commands.container.common import opened_containers
from pybuild.builder.containers.lifecycle import rename


@click.command("rename", cls=Command)
@click.argument("container")
@click.argument("name", metavar="NEW_NAME")
@root_option
def command(container: str, name: str) -> None:
    """Give CONTAINER the name NEW_NAME."""
    with opened_containers() as containers:
        rename(containers, containers.find(container), name)
