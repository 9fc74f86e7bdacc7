"""``pybuild logs``: the output of a container."""

import time

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.commands.container.common import opened_containers
from pybuild.builder.cli.fast_path.logs import WITHOUT, show
from pybuild.builder.cli.flags.group import option, takes
from pybuild.builder.containers.errors import ContainerError
from pybuild.builder.containers.logs import LogRange, parse_time
from pybuild.builder.errors import RequestError
from pybuild.builder.options import whole_number
from pybuild.runtime.values import frozen


@frozen
class LogFlags:
    """Which part of the output is shown, and how."""

    follow: bool = option("-f", "--follow", is_flag=True, help="Follow the output until the container exits.")
    tail: str = option(
        "-n",
        "--tail",
        empty=True,
        default="all",
        metavar="LINES",
        help="Number of lines to show from the end (default: all).",
    )
    since: str | None = option(
        "--since", metavar="TIME", help="Show output since a time such as 2023-01-31T20:00:00, or 10m ago."
    )
    until: str | None = option("--until", metavar="TIME", help="Show output before a time.")
    timestamps: bool = option("-t", "--timestamps", is_flag=True, help="Show the time of each line.")
    details: bool = option("--details", is_flag=True, help="No effect: there are no extra details.")


@click.command("logs", cls=Command)
@click.argument("name", metavar="CONTAINER")
@takes(LogFlags, "flags")
@root_option
def command(name: str, *, flags: LogFlags) -> None:
    """Show the output of a container, on standard output and standard error like the container itself."""
    now = time.time()
    with opened_containers() as containers:
        container = containers.find(name)
        if container.config.host.log_driver == WITHOUT:
            raise ContainerError("configured logging driver does not support reading")
        wanted = LogRange(
            tail=_count(flags.tail),
            since=parse_time(flags.since, now) if flags.since else None,
            until=parse_time(flags.until, now) if flags.until else None,
        )
        show(container, wanted, follow=flags.follow, timestamps=flags.timestamps)


def _count(text: str) -> int | None:
    if text == "all" or text.startswith("-"):
        return None
    number = whole_number(text)
    if number is None:
        raise RequestError(f"invalid value for --tail: {text}", hint="give a number, or all")
    return number
