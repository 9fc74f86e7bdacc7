"""``pybuild pause``: suspend the processes of containers."""

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.commands.container.common import for_each_container, opened_containers
from pybuild.builder.containers.lifecycle import pause


@click.command("pause", cls=Command)
@click.argument("names", nargs=-1, required=True, metavar="CONTAINER...")
@root_option
def command(names: tuple[str, ...]) -> int | None:
    """Suspend all processes of containers, and print their names. The containers need a cgroup."""
    with opened_containers() as containers:
        return for_each_container(names, pause, containers)
