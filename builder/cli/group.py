"""The program as a click group, whose commands are imported when they are used, so that each starts fast."""

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from pybuild.builder.cli.aliases import FAMILIES, spelled_out, unknown_command
from pybuild.builder.cli.commands import COMMANDS
from pybuild.builder.cli.failures import FAILED, Described, Failure, describe
from pybuild.builder.cli.tools import session

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

GLOBAL_FLAGS = frozenset({"-D", "--debug"})
_HELP = ("--help", "-h")
_GROUP_ONLY = (*_HELP, "--version")


class Commands(click.Group):
    """The commands by name. A command line that begins with an option, a path or a URL is a build: ``pybuild .``."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - the same
        """Import and return a command, None when there is none of this name."""
        if cmd_name not in COMMANDS:
            return None
        module, summary = COMMANDS[cmd_name]
        command = importlib.import_module(f"pybuild.builder.cli.commands.{module}").command
        command.short_help = summary
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - the same
        """Write the list of the commands, of which none is imported."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """Return the commands and options that begin with *incomplete*, or directories for a path."""
        from click.shell_completion import CompletionItem

        if incomplete.startswith((".", "/", "~")):
            return [CompletionItem(incomplete, type="dir")]
        commands = [(name, summary) for name, (_, summary) in COMMANDS.items() if name.startswith(incomplete)]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [*(CompletionItem(name, help=summary) for name, summary in commands), *options]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Insert ``build`` where a command is missing."""
        ahead = _leading_flags(args)
        rest = spelled_out(args[ahead:])
        if rest and rest[0] not in COMMANDS and rest[0] not in _GROUP_ONLY:
            rest = _understood(rest, refuse=not ctx.resilient_parsing)
        return super().parse_args(ctx, [*args[:ahead], *(rest or ["--help"])])


def _understood(words: list[str], *, refuse: bool) -> list[str]:
    """Return *words*, which name no command, as a command line for ``help`` or ``build``.

    Raises:
        RequestError: they look like a misspelt command, and *refuse* is true.
    """
    first = words[0]
    if first in FAMILIES and (len(words) == 1 or words[1] in _HELP):
        return ["help", first]
    if first in FAMILIES and words[1] == "help":
        return ["help", first, *words[2:]]
    # A plain word is more often a misspelt command than a directory.
    if refuse and not first.startswith(("-", ".", "~")) and not {"/", ":"} & set(first):
        error = unknown_command(words)
        if first == "container":
            raise Described(Failure(describe(error).text, FAILED)) from error
        raise error
    return ["build", *words]


def _leading_flags(args: Sequence[str]) -> int:
    """Return the number of leading words that are flags of the program itself, or their values."""
    at = 0
    while at < len(args):
        if args[at] in GLOBAL_FLAGS or args[at].startswith("--root="):
            at += 1
        elif args[at] == "--root" and at + 1 < len(args):
            at += 2
        else:
            break
    return at


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--root", metavar="DIR", help="Directory of the store (default: $PYBUILD_ROOT, else one for each user).")
@click.option("-D", "--debug", is_flag=True, help="Show a traceback when pybuild itself fails (also PYBUILD_DEBUG=1).")
@click.version_option(None, package_name="pybuild", message="pybuild version %(version)s")
def cli(root: str | None, *, debug: bool) -> None:  # noqa: ARG001 - `main` looks for it in the words
    """Build images from Dockerfiles, without a daemon.

    "pybuild -t NAME CONTEXT" is short for "pybuild build -t NAME CONTEXT". When the context comes first, write it as a
    path: ./DIRECTORY. Flags are spelled as in docker build. Images are kept in pybuild's own store, which is a standard
    OCI image layout. Docker's longer command names work as well: "image ls", "buildx build", "system df" and so on.
    """
    session().root = root
