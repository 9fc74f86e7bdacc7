"""``pybuild exec``: run a command in a running container."""

import os
from pathlib import Path

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.commands.container.common import opened_containers
from pybuild.builder.cli.fast_path.exec import run_inside
from pybuild.builder.cli.flags.build_values import env_lines, variables
from pybuild.builder.cli.flags.group import option, takes
from pybuild.builder.cli.flags.values import FilePath
from pybuild.builder.containers.errors import NoTerminal
from pybuild.builder.containers.executing import Inside
from pybuild.runtime.values import frozen


@frozen
class ExecFlags:
    """How a command is executed in a container."""

    detach: bool = option("-d", "--detach", is_flag=True, help="Run the command in the background.")
    assigned: tuple[str, ...] = option(
        "-e", "--env", empty=True, multiple=True, metavar="NAME[=VALUE]", help="Set a variable; repeatable."
    )
    files: tuple[Path, ...] = option(
        "--env-file", empty=True, multiple=True, type=FilePath(), metavar="FILE", help="Read variables from FILE."
    )
    interactive: bool = option("-i", "--interactive", is_flag=True, help="Pass standard input to the command.")
    privileged: bool = option(
        "--privileged", is_flag=True, help="Give the command all capabilities, and no system-call filter."
    )
    tty: bool = option("-t", "--tty", is_flag=True, help="Allocate a pseudo-terminal.")
    user: str | None = option(
        "-u", "--user", empty=True, metavar="USER[:GROUP]", help="Name or UID, and group, to run as."
    )
    workdir: str | None = option("-w", "--workdir", metavar="DIR", help="Working directory.")
    detach_keys: str | None = option("--detach-keys", hidden=True)

    def inside(self, words: tuple[str, ...]) -> Inside:
        """Return the command *words* with these settings. Raises NoTerminal when there is none for ``-it``."""
        if self.interactive and self.tty and not self.detach and not os.isatty(0):
            raise NoTerminal
        given = [line for path in self.files for line in env_lines(path)]
        return Inside(
            words=words,
            env=tuple(variables((*given, *self.assigned), os.environ, "variable").items()),
            user=self.user,
            working_dir=self.workdir or "",
            interactive=self.interactive and not self.detach,
            terminal=self.tty and not self.detach,
            privileged=self.privileged,
        )


@click.command(
    "exec",
    cls=Command,
    context_settings={"allow_interspersed_args": False},
)
@click.argument("name", metavar="CONTAINER")
@click.argument("words", nargs=-1, required=True, metavar="COMMAND [ARG...]", type=click.UNPROCESSED)
@takes(ExecFlags, "flags")
@root_option
def command(name: str, words: tuple[str, ...], *, flags: ExecFlags) -> int:
    """Run COMMAND in a container, in its namespaces and with its restrictions, and exit with its exit code."""
    inside = flags.inside(words)
    with opened_containers() as containers:
        return run_inside(containers.find(name), inside, detach=flags.detach)
