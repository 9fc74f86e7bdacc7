"""``pybuild completion``: the script that lets a shell complete our command line."""

import click
from click.shell_completion import get_completion_class

from builder.commands.tools import Command


@click.command("completion", cls=Command, short_help="Print a shell completion script.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script that completes pybuild's command line in SHELL.

    For bash: source <(pybuild completion bash)
    """
    kind = get_completion_class(shell)
    if kind is not None:
        # The script goes to a shell as it stands: its control characters are its own.
        click.echo(kind(ctx.find_root().command, {}, "pybuild", "_PYBUILD_COMPLETE").source())
