"""``pybuild start``: start containers that were created or have exited."""

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.commands.container.access.foreground import KEYS_HELP, Foreground, start_in_foreground
from pybuild.builder.cli.commands.container.common import for_each_container, opened_containers
from pybuild.builder.cli.commands.container.lifecycle.run import begin
from pybuild.builder.containers.attachment import DETACH_KEYS, parse_keys
from pybuild.builder.containers.catalog import StoredContainer
from pybuild.builder.errors import RequestError


@click.command("start", cls=Command)
@click.argument("names", nargs=-1, metavar="CONTAINER...")
@click.option(
    "-a", "--attach", is_flag=True, help="Show the output, pass signals, and exit with the exit code of the container."
)
@click.option("-i", "--interactive", is_flag=True, help="Like --attach, and pass standard input.")
@click.option("--detach-keys", metavar="KEYS", help=KEYS_HELP)
@click.option(
    "--restart-policies",
    is_flag=True,
    help="Start all containers that their restart policies start after a boot; for a unit of systemd.",
)
@root_option
def command(
    names: tuple[str, ...], *, attach: bool, interactive: bool, detach_keys: str | None, restart_policies: bool
) -> int | None:
    """Start containers and print their names.

    There is no daemon, so nothing starts by itself after a boot. --restart-policies, called then, starts those with
    always, with unless-stopped that were not stopped, and with on-failure that failed, or ran when the host went down.
    """
    if bool(names) == restart_policies:
        raise RequestError('"start" needs names of containers, or --restart-policies')
    if (attach or interactive) and len(names) > 1:
        raise RequestError("you cannot start and attach multiple containers at once")
    with opened_containers() as containers:
        if restart_policies:
            names = tuple(each.name for each in containers.all() if _is_due(each))
        if attach or interactive:
            keys = parse_keys(detach_keys) if detach_keys else DETACH_KEYS
            foreground = Foreground(typed=interactive, keys=keys)
            return start_in_foreground(containers, containers.find(names[0]), foreground)
        return for_each_container(names, lambda container: begin(containers, container), containers)


def _is_due(container: StoredContainer) -> bool:
    around = container.config.host
    return container.state.is_due(around.restart, around.restart_most)
