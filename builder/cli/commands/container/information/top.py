"""``pybuild top``: the processes of a container, as ps of the host shows them."""

import subprocess

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.commands.container.common import opened_containers
from pybuild.builder.cli.tools import say
from pybuild.builder.containers.errors import ContainerError
from pybuild.builder.containers.usage import processes_of
from pybuild.builder.errors import StoreError


@click.command(
    "top",
    cls=Command,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("name", metavar="CONTAINER")
@click.argument("options", nargs=-1, metavar="[PS OPTIONS]", type=click.UNPROCESSED)
@root_option
def command(name: str, options: tuple[str, ...]) -> None:
    """List the processes of a container, with the columns of ps -ef or of the given options of ps."""
    with opened_containers() as containers:
        container = containers.find(name)
        if not container.state.runs:
            raise ContainerError(f"Container {container.id} is not running")
        wanted = set(map(str, processes_of(container)))
        container.log_event("top")
    try:
        done = subprocess.run(["ps", *(options or ("-ef",))], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise StoreError("the program ps is missing on this host", hint="install it (package procps)") from error
    title, *lines = done.stdout.splitlines() or [""]
    names = title.split()
    if done.returncode or "PID" not in names:
        raise ContainerError(f"ps: {done.stderr.strip() or 'its columns have no PID'}")
    # Only the last column may contain blanks, as in docker top: they would move PID to another place.
    rows = [row for line in lines if len(row := line.split(maxsplit=len(names) - 1)) == len(names)]
    place = names.index("PID")
    for row in rows:
        if not row[place].isdecimal():
            raise ContainerError(f"ps: unexpected PID {row[place]!r}", hint="name columns with blanks last")
    chosen = [row for row in rows if row[place] in wanted]
    widths = [max(map(len, column)) for column in zip(names, *chosen, strict=True)]
    for row in (names, *chosen):
        # As in docker top, a column has at least twenty characters.
        say("".join(f"{cell:<{max(width, 16) + 4}}" for cell, width in zip(row, widths, strict=True)))
