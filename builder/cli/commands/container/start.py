"""``pybuild start``: containers that were created, or have ended, run."""

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.commands.container.looking import KEYS_HELP, look
from pybuild.builder.cli.commands.container.opened import each, opened_containers
from pybuild.builder.containers.attached import DETACH_KEYS, parse_keys
from pybuild.builder.containers.directory import Containers, StoredContainer
from pybuild.builder.containers.starting import start
from pybuild.builder.errors import RequestError


@click.command("start", cls=Command)
@click.argument("names", nargs=-1, required=True, metavar="CONTAINER...")
@click.option(
    "-a", "--attach", is_flag=True, help="Show the output, pass signals, and exit with the exit code of the container."
)
@click.option("-i", "--interactive", is_flag=True, help="Like --attach, and pass standard input.")
@click.option("--detach-keys", metavar="KEYS", help=KEYS_HELP)
@root_option
def command(names: tuple[str, ...], *, attach: bool, interactive: bool, detach_keys: str | None) -> int | None:
    """Start containers and print their names."""
    if (attach or interactive) and len(names) > 1:
        raise RequestError("you cannot start and attach multiple containers at once")
    with opened_containers() as containers:
        if attach or interactive:
            keys = parse_keys(detach_keys) if detach_keys else DETACH_KEYS
            return look(containers, containers.find(names[0]), typed=interactive, keys=keys)
        return each(names, lambda container: begin(containers, container), containers)


def begin(containers: Containers, container: StoredContainer) -> None:
    """Start a container that nobody looks at."""
    channel = start(containers, container, lambda _channel: None)
    if channel is not None:
        channel.close()
