"""``pybuild exec``: a command in a container that runs."""

import os
from pathlib import Path

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.commands.container.common import opened_containers
from pybuild.builder.cli.flags.build import variables
from pybuild.builder.cli.flags.values import FilePath
from pybuild.builder.cli.usual.exec import run_inside
from pybuild.builder.containers.executing import Inside
from pybuild.builder.errors import RequestError


@click.command(
    "exec",
    cls=Command,
    context_settings={"allow_interspersed_args": False},
)
@click.argument("name", metavar="CONTAINER")
@click.argument("words", nargs=-1, required=True, metavar="COMMAND [ARG...]", type=click.UNPROCESSED)
@click.option("-d", "--detach", is_flag=True, help="Run the command in the background.")
@click.option("-e", "--env", "assigned", multiple=True, metavar="NAME[=VALUE]", help="Set a variable; repeatable.")
@click.option("--env-file", "files", multiple=True, type=FilePath(), metavar="FILE", help="Read variables from FILE.")
@click.option("-i", "--interactive", is_flag=True, help="Pass standard input to the command.")
@click.option("--privileged", is_flag=True, help="Give the command all capabilities, and no system-call filter.")
@click.option("-t", "--tty", is_flag=True, help="Allocate a pseudo-terminal.")
@click.option("-u", "--user", metavar="USER[:GROUP]", help="Name or UID, and group, to run as.")
@click.option("-w", "--workdir", metavar="DIR", help="Working directory.")
@click.option("--detach-keys", hidden=True)
@root_option
def command(  # noqa: PLR0917 - click hands them over by name
    name: str,
    words: tuple[str, ...],
    detach: bool,
    assigned: tuple[str, ...],
    files: tuple[Path, ...],
    interactive: bool,
    privileged: bool,
    tty: bool,
    user: str | None,
    workdir: str | None,
    detach_keys: str | None,
) -> int:
    """Run COMMAND in a container, in its namespaces and with its restrictions, and exit with its exit code."""
    del detach_keys
    if interactive and tty and not detach and not os.isatty(0):
        raise RequestError("the input device is not a terminal", hint="leave out -t")
    lines = [
        line for path in files for line in path.read_text(encoding="utf-8").splitlines() if line[:1] not in {"", "#"}
    ]
    inside = Inside(
        words=words,
        env=tuple(variables((*lines, *assigned), os.environ, "variable").items()),
        user=user,
        working_dir=workdir or "",
        interactive=interactive and not detach,
        terminal=tty and not detach,
        privileged=privileged,
    )
    with opened_containers() as containers:
        return run_inside(containers.find(name), inside, detach=detach)
