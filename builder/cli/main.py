"""From the command line to a command, and from a failure to a message and an exit code.

Commands live in `builder.cli.commands`, one module each, imported when used: a build whose steps are all cached
must not pay for what other commands need. Nothing but this module and the commands prints, and nothing else ends the
process.

    0 done   1 a step failed, or something asked for is not there   2 usage or Dockerfile   3 the host cannot
    4 a registry did not give what was asked for   5 a registry did not take what was pushed
    70 a bug   130 interrupted
"""

import gc
import importlib
import io
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

import click

from pybuild.builder.cli.aliases import FAMILIES, spelled_out
from pybuild.builder.cli.commands import COMMANDS
from pybuild.builder.interrupts import INTERRUPTED, Interrupts

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_GLOBAL_FLAGS = frozenset({"-D", "--debug"})
_HELP = ("--help", "-h")
_GROUP_ONLY = (*_HELP, "--version")
_COMPLETING = "_PYBUILD_COMPLETE"
_GC_THRESHOLD = 20_000
"""New objects between two searches for unreachable ones: most of what a short-lived process makes stays in use."""


class Commands(click.Group):
    """The commands by name. What begins with an option, a path or an address is a build: ``pybuild -t name .``."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - the same
        """Import and return a command, None when there is none of this name."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"pybuild.builder.cli.commands.{COMMANDS[cmd_name]}")
        command = module.command
        return command if isinstance(command, click.Command) else None

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """Return the commands that begin so, for a path what stands there."""
        if incomplete.startswith((".", "/", "~")):
            from click.shell_completion import CompletionItem

            return [CompletionItem(incomplete, type="dir")]
        return super().shell_complete(ctx, incomplete)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put ``build`` where a command is missing."""
        ahead = _leading_flags(args)
        rest = spelled_out(args[ahead:])
        if rest and rest[0] not in COMMANDS and rest[0] not in _GROUP_ONLY:
            rest = _understood(rest, refuse=not ctx.resilient_parsing)
        return super().parse_args(ctx, [*args[:ahead], *(rest or ["--help"])])


def _understood(words: list[str], *, refuse: bool) -> list[str]:
    """Return what *words* without a command mean: help, or a build. Raises RequestError when *refuse* and neither."""
    first = words[0]
    if first in FAMILIES and (len(words) == 1 or words[1] in _HELP):
        return ["help", first]
    if first in FAMILIES and words[1] == "help":
        return ["help", first, *words[2:]]
    # A word alone is a slip in the name of a command more often than it is a directory.
    if refuse and not first.startswith(("-", ".", "~")) and not {"/", ":"} & set(first):
        from pybuild.builder.cli.unknown import unknown_command

        raise unknown_command(words)
    return ["build", *words]


def _leading_flags(args: Sequence[str]) -> int:
    """Return how many of *args* are flags of the program itself."""
    at = 0
    while at < len(args):
        if args[at] in _GLOBAL_FLAGS or args[at].startswith("--root="):
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
@click.pass_context
def cli(ctx: click.Context, root: str | None, *, debug: bool) -> None:
    """Build images from Dockerfiles, without a daemon.

    "pybuild -t NAME CONTEXT" is short for "pybuild build -t NAME CONTEXT". When the context comes first, write it as a
    path: ./DIRECTORY. Flags are spelled as in docker build. Images are kept in pybuild's own store, which is a standard
    OCI image layout. Docker's longer command names work as well: "image ls", "buildx build", "system df" and so on.
    """
    ctx.meta["builder.root"] = root
    ctx.meta["builder.debug"] = debug


def main() -> NoReturn:
    """Run the command line of this process and exit."""
    if None in {sys.stdin, sys.stdout, sys.stderr}:
        _open_missing()
    if sys.getfilesystemencoding() != "utf-8":
        from pybuild.builder.utf8 import start_again

        start_again()
    for stream in (sys.stdout, sys.stderr):
        # A character that the locale cannot show is no reason to fail.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if "utf8" in sys._xoptions and isinstance(sys.stderr, io.TextIOWrapper):  # noqa: SLF001 - documented
        from pybuild.builder.utf8 import follow_the_locale

        follow_the_locale(sys.stderr)
    if _COMPLETING in os.environ:
        from pybuild.builder.cli.commands.store.completion import register

        register()
    gc.set_threshold(_GC_THRESHOLD)
    exit_code = _run_to_its_end()
    try:
        sys.stdout.flush()
    except OSError:
        # What could not be written would be tried, and complained of, once more when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    # Else the interpreter looks through all that it is about to drop: a sixth of the time of a cached build.
    gc.freeze()
    sys.exit(exit_code)


def _open_missing() -> None:
    """Put /dev/null in place of each stream that the caller closed (``2>&-``).

    Else a file of the store would get its number, and be written to by mistake.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            handle = os.open(os.devnull, os.O_RDWR)
            if handle != number and not _is_open(number):
                os.dup2(handle, number)
                os.close(handle)
                handle = number
            os.set_inheritable(handle, True)
            setattr(sys, name, os.fdopen(handle, "w" if number else "r", encoding="utf-8", closefd=False))


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _run_to_its_end() -> int:
    """Return the exit code of this process. Once it was interrupted, no further signal changes that."""
    try:
        with Interrupts():
            return run(sys.argv[1:])
    except KeyboardInterrupt:
        return INTERRUPTED  # it came while another failure was reported


def run(arguments: Sequence[str], tools: object = None) -> int:
    """Carry out *arguments* and return the exit code. *tools* replaces what commands work with, for tests."""
    try:
        result = cli.main(list(arguments), prog_name="pybuild", standalone_mode=False, obj=tools)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except BaseException as error:  # noqa: BLE001 - whatever it is, the user gets a message, not a traceback
        return _failed(error, debug=not _GLOBAL_FLAGS.isdisjoint(arguments))
    return result if isinstance(result, int) else 0


def _failed(error: BaseException, *, debug: bool) -> int:
    from pybuild.builder.cli.failures import describe

    failure = describe(error, debug=debug)
    click.echo(failure.text, err=True, nl=False)
    return failure.exit_code
