"""``pybuild container prune``: remove stopped containers."""

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.commands.container.common import opened_containers
from pybuild.builder.cli.format.container_filters import Passes, prune_filter
from pybuild.builder.cli.tools import is_terminal, say
from pybuild.builder.containers.errors import ContainerError
from pybuild.builder.containers.files import size_of
from pybuild.builder.containers.lifecycle import remove
from pybuild.builder.display.units import human_size


@click.command("container prune", cls=Command)
@click.option("-f", "--force", is_flag=True, help="Do not prompt for confirmation.")
@click.option(
    "--filter", "filters", multiple=True, metavar="KEY=VALUE", help="until=TIME, label=KEY[=VALUE], label!=..."
)
@root_option
def command(*, force: bool, filters: tuple[str, ...]) -> None:
    """Remove all stopped containers, and print their names. Volumes stay."""
    passes = prune_filter(filters)
    if not force:
        say("WARNING! This will remove all stopped containers.")
        if not is_terminal(0) or not click.confirm("Are you sure you want to continue?", default=False):
            return
    gone, freed = remove_stopped(passes)
    if gone:
        say("\n".join(["Deleted Containers:", *gone, ""]))
    say(f"Total reclaimed space: {human_size(freed)}")


def remove_stopped(passes: Passes) -> tuple[list[str], int]:
    """Remove the stopped containers that pass the test; return their ids, and the bytes that were freed."""
    freed, gone = 0, []
    with opened_containers() as containers:
        for container in containers.all():
            if container.state.status in {"created", "exited", "dead"} and passes(container):
                size = size_of(containers.store, container.directory)
                try:
                    remove(containers, container)
                except ContainerError:  # somebody started it meanwhile
                    continue
                freed += size
                gone.append(container.id)
    return gone, freed
