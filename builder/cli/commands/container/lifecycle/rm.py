"""``pybuild rm``: remove containers."""

from contextlib import suppress

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.commands.container.common import FAILURES, begin_each, for_each, opened_containers
from pybuild.builder.cli.tools import put_error, say
from pybuild.builder.containers.catalog import Containers
from pybuild.builder.containers.errors import NoSuchContainer
from pybuild.builder.containers.lifecycle import kill_to_remove, remove


@click.command("rm", cls=Command)
@click.argument("names", nargs=-1, required=True, metavar="CONTAINER...")
@click.option("-f", "--force", is_flag=True, help="Kill running containers, and ignore missing ones.")
@click.option("-v", "--volumes", is_flag=True, help="Also remove the anonymous volumes of the containers.")
@root_option
def command(names: tuple[str, ...], *, force: bool, volumes: bool) -> int | None:
    """Remove containers, and print their names."""
    with opened_containers() as containers:
        killed = begin_each(names, lambda name: _kill(containers, name)) if force and len(names) > 1 else None

        def one(name: str) -> None:
            if killed is not None:
                killed(name)
            try:
                remove(containers, containers.find(name), force=force, volumes=volumes)
            except NoSuchContainer as error:
                if not force:
                    raise
                put_error(f"{error}\n")
                return
            say(name)

        return for_each(names, one)


def _kill(containers: Containers, name: str) -> None:
    """Kill the container called *name*. Whatever prevents that is reported when it is removed."""
    with suppress(*FAILURES):
        kill_to_remove(containers.find(name))
