"""``pybuild completion``: the script for a shell, and the answers that the script asks for."""

import os
import shlex

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class, get_completion_class

from pybuild.builder.cli.command import Command
from pybuild.builder.cli.tools import put

VARIABLE = "_PYBUILD_COMPLETE"


@click.command("completion", cls=Command)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print a script that completes commands, options, files, images and stages of pybuild in a shell.

    \b
    bash: source <(pybuild completion bash)
    zsh:  source <(pybuild completion zsh)      after compinit
    fish: pybuild completion fish | source
    """  # noqa: D301 - click's mark for lines that stay as they are
    register()
    kind = get_completion_class(shell)
    if kind is not None:
        # Not sanitized: the script is read by a shell, and its control characters belong to it.
        put(kind(ctx.find_root().command, {}, "pybuild", VARIABLE).source() + "\n")


def register() -> None:
    """Register our own completion class with click."""
    add_completion_class(_Bash)


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:  # a quotation that is not closed yet
        return line.split()


class _Bash(BashComplete):
    """Completion in bash, which splits words at colons: as NAME:TAG is one word, the script passes the whole line."""

    source_template = """\
%(complete_func)s() {
    local kind value
    COMPREPLY=()
    while IFS=, read -r kind value; do
        case $kind in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done < <(COMP_WORDS="${COMP_LINE:0:COMP_POINT}" %(complete_var)s=bash_complete "$1")
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the cursor, and the part of the current one that is typed."""
        line = os.environ["COMP_WORDS"]
        words = _split(line)
        self._typed = words.pop() if words and not line[-1:].isspace() else ""
        return words[1:], self._typed

    def format_completion(self, item: CompletionItem) -> str:
        """Return a line for the script, without the part up to the last colon: bash has that already."""
        before, colon, _ = self._typed.rpartition("=")[2].rpartition(":")
        value = item.value.removeprefix(before + colon) if item.type == "plain" else item.value
        return f"{item.type},{value}"
