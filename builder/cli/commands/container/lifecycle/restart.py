"""``pybuild restart``: stop containers and start them again."""

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.commands.container.common import StopFlags, for_each_container, opened_containers
from pybuild.builder.cli.commands.container.lifecycle.run import begin
from pybuild.builder.cli.flags.group import takes
from pybuild.builder.containers.catalog import StoredContainer


@click.command("restart", cls=Command)
@click.argument("names", nargs=-1, required=True, metavar="CONTAINER...")
@takes(StopFlags, "flags")
@root_option
def command(names: tuple[str, ...], *, flags: StopFlags) -> int | None:
    """Restart containers, and print their names."""
    with opened_containers() as containers:
        stop = flags.stopping()

        def again(container: StoredContainer) -> None:
            stop(container)
            begin(containers, container)
            container.log_event("restart")

        return for_each_container(names, again, containers)
