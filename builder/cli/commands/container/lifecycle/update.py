"""``pybuild update``: change the limits and the restart policy of containers."""

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.commands.container.common import for_each_container, opened_containers
from pybuild.builder.cli.flags.container.create import restart_policy
from pybuild.builder.cli.flags.container.limits import ChangeableLimitFlags
from pybuild.builder.cli.flags.group import takes
from pybuild.builder.containers.updating import update
from pybuild.builder.errors import RequestError


@click.command("update", cls=Command)
@click.argument("names", nargs=-1, required=True, metavar="CONTAINER...")
@takes(ChangeableLimitFlags, "flags")
@click.option("--restart", metavar="POLICY", help="Restart policy: no, on-failure[:MAX], always or unless-stopped.")
@root_option
def command(names: tuple[str, ...], *, flags: ChangeableLimitFlags, restart: str | None) -> int | None:
    """Change the limits and the restart policy of containers, which may run, and print their names."""
    with opened_containers() as containers:
        if flags == ChangeableLimitFlags() and not restart:
            raise RequestError("you must provide one or more flags when using this command")
        limits, policy = flags.limits(), restart_policy(restart) if restart else None
        return for_each_container(
            names, lambda container: update(containers.store, container, limits, policy), containers
        )
