"""``pybuild restart``: stop containers and start them again."""

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.commands.container.common import each, opened_containers, stop_options
from pybuild.builder.cli.commands.container.lifecycle.start import begin
from pybuild.builder.containers.directory import StoredContainer
from pybuild.builder.containers.lifecycle import stop_as_set
from pybuild.builder.signals import signal_number


@click.command("restart", cls=Command)
@click.argument("names", nargs=-1, required=True, metavar="CONTAINER...")
@stop_options
@root_option
def command(names: tuple[str, ...], *, signal: str | None, seconds: int | None) -> int | None:
    """Restart containers, and print their names."""
    with opened_containers() as containers:
        if signal:
            signal_number(signal)

        def again(container: StoredContainer) -> None:
            stop_as_set(container, signal, seconds)
            begin(containers, container)
            container.tell("restart")

        return each(names, again, containers)
