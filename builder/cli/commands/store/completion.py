"""``pybuild completion``: the script that lets a shell complete our command line, and what the script asks for."""

import os
import shlex

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class, get_completion_class

from pybuild.builder.cli.command import Command
from pybuild.builder.cli.tools import put

VARIABLE = "_PYBUILD_COMPLETE"


@click.command("completion", cls=Command, short_help="Print a shell completion script.")
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
        # The script goes to a shell as it stands: its control characters are its own.
        put(kind(ctx.find_root().command, {}, "pybuild", VARIABLE).source() + "\n")


def register() -> None:
    """Let click answer what our own scripts ask."""
    add_completion_class(_Bash)


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:  # a quotation that is not closed yet
        return line.split()


class _Bash(BashComplete):
    """Bash splits words at colons, and NAME:TAG is one word to us: the script hands over the line as it is typed."""

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
        """Return the words before the one at the cursor, and as much of that one as is typed."""
        line = os.environ["COMP_WORDS"]
        words = _split(line)
        self._typed = words.pop() if words and not line[-1:].isspace() else ""
        return words[1:], self._typed

    def format_completion(self, item: CompletionItem) -> str:
        """Return a line for the script; what stands before the last colon is there already."""
        before, colon, _ = self._typed.rpartition("=")[2].rpartition(":")
        value = item.value.removeprefix(before + colon) if item.type == "plain" else item.value
        return f"{item.type},{value}"
