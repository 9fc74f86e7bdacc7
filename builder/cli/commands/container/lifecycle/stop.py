"""``pybuild stop``: stop containers by a signal, and kill them when they do not exit in time."""

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.commands.container.common import each, opened_containers, stop_options
from pybuild.builder.containers.lifecycle import stop_as_set
from pybuild.builder.signals import signal_number


@click.command("stop", cls=Command)
@click.argument("names", nargs=-1, required=True, metavar="CONTAINER...")
@stop_options
@root_option
def command(names: tuple[str, ...], *, signal: str | None, seconds: int | None) -> int | None:
    """Stop containers by their stop signal, kill them after 10 seconds, and print their names."""
    with opened_containers() as containers:
        if signal:
            signal_number(signal)
        return each(names, lambda container: stop_as_set(container, signal, seconds), containers)
