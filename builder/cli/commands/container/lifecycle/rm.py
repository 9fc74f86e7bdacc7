"""``pybuild rm``: remove containers."""

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.commands.container.common import for_each, opened_containers
from pybuild.builder.cli.tools import put_error, say
from pybuild.builder.containers.errors import NoSuchContainer
from pybuild.builder.containers.lifecycle import remove


@click.command("rm", cls=Command)
@click.argument("names", nargs=-1, required=True, metavar="CONTAINER...")
@click.option("-f", "--force", is_flag=True, help="Kill running containers, and ignore missing ones.")
@click.option("-v", "--volumes", is_flag=True, help="Also remove the anonymous volumes of the containers.")
@root_option
def command(names: tuple[str, ...], *, force: bool, volumes: bool) -> int | None:
    """Remove containers, and print their names."""
    with opened_containers() as containers:

        def one(name: str) -> None:
            try:
                remove(containers, containers.find(name), force=force, volumes=volumes)
            except NoSuchContainer as error:
                if not force:
                    raise
                put_error(f"{error}\n")
                return
            say(name)

        return for_each(names, one)
