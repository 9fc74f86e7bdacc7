"""``pybuild logs``: what a container printed."""

import time

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.commands.container.common import opened_containers
from pybuild.builder.cli.usual.logs import WITHOUT, show
from pybuild.builder.containers.errors import ContainerError
from pybuild.builder.containers.logs import moment
from pybuild.builder.errors import RequestError


@click.command("logs", cls=Command)
@click.argument("name", metavar="CONTAINER")
@click.option("-f", "--follow", is_flag=True, help="Follow the output until the container exits.")
@click.option(
    "-n", "--tail", default="all", metavar="LINES", help="Number of lines to show from the end (default: all)."
)
@click.option("--since", metavar="TIME", help="Show output since a time such as 2023-01-31T20:00:00, or 10m ago.")
@click.option("--until", metavar="TIME", help="Show output before a time.")
@click.option("-t", "--timestamps", is_flag=True, help="Show the time of each line.")
@click.option("--details", is_flag=True, help="No effect: there are no extra details.")
@root_option
def command(
    name: str, *, follow: bool, tail: str, since: str | None, until: str | None, timestamps: bool, details: bool
) -> None:
    """Show the output of a container, on standard output and standard error like the container itself."""
    del details
    now = time.time()
    with opened_containers() as containers:
        container = containers.find(name)
        if container.config.host.log_driver == WITHOUT:
            raise ContainerError("configured logging driver does not support reading")
        show(
            container,
            tail=_count(tail),
            since=moment(since, now) if since else None,
            until=moment(until, now) if until else None,
            follow=follow,
            timestamps=timestamps,
        )


def _count(text: str) -> int | None:
    if text == "all" or text.startswith("-"):
        return None
    if not (text.isascii() and text.isdigit()):
        raise RequestError(f"invalid value for --tail: {text}", hint="give a number, or all")
    return int(text)
