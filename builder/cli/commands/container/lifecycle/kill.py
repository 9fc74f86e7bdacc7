"""``pybuild kill``: send a signal to running containers."""

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.commands.container.common import for_each_container, opened_containers
from pybuild.builder.containers.lifecycle import kill
from pybuild.builder.signals import signal_number


@click.command("kill", cls=Command)
@click.argument("names", nargs=-1, required=True, metavar="CONTAINER...")
@click.option("-s", "--signal", default="KILL", metavar="SIGNAL", help="Signal to send (default: SIGKILL).")
@root_option
def command(names: tuple[str, ...], *, signal: str) -> int | None:
    """Send a signal to the first process of containers, and print their names."""
    with opened_containers() as containers:
        number = signal_number(signal or "KILL")
        return for_each_container(names, lambda container: kill(container, number), containers)
