"""``pybuild help``: the help of the program or of a command."""

import click

from pybuild.builder.cli.aliases import ALIASES, FAMILIES, spelled_out, unknown_command
from pybuild.builder.cli.command import Command
from pybuild.builder.cli.commands import COMMANDS
from pybuild.builder.cli.tools import say


def _complete(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the commands that begin with *incomplete*; after ``image`` and the like, their second words."""
    given = ctx.params.get("words") or ()
    words = [second for first, second in ALIASES if given == (first,)] if given else [*COMMANDS, *sorted(FAMILIES)]
    return [word for word in words if word.startswith(incomplete) and " " not in word]


@click.command("help", cls=Command)
@click.argument("words", metavar="[COMMAND]", nargs=-1, shell_complete=_complete)
@click.pass_context
def command(ctx: click.Context, words: tuple[str, ...]) -> None:
    """Show the help of COMMAND, or the list of commands."""
    root = ctx.find_root()
    if not words:
        say(root.get_help())
        return
    if len(words) == 1 and words[0] in FAMILIES:
        say(family_help(words[0]))
        return
    say(_found(root, spelled_out(words)))


def _found(root: click.Context, words: list[str]) -> str:
    at, parent = root.command, root
    for word in words:
        if word.startswith("-"):
            break  # an alias such as "builder prune" stands for a command with a flag
        below = at.get_command(parent, word) if isinstance(at, click.Group) else None
        if below is None:
            raise unknown_command(words)
        at, parent = below, click.Context(below, parent, info_name=word)
    return at.get_help(parent)


def family_help(family: str) -> str:
    """Return the list of Docker's longer names that begin with *family*."""
    rows = [f"  {' '.join(name):18} {' '.join(ours)}" for name, ours in ALIASES.items() if name[0] == family]
    return "\n".join([f"Usage: pybuild {family} COMMAND", "", "Commands, and what each is short for:", *rows])
