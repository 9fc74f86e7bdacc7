"""Running the command of a command line, and turning a failure into a message and an exit code.

The most common builds, and commands about containers, are read without click, because loading it takes longer than a
build from the cache. Everything else is read by click, from `group.py` on. Only the modules below `builder.cli` print,
and only this one ends the process.

    0 success   1 a step failed, the time was over, or an image does not exist   2 wrong usage or Dockerfile
    3 the host lacks something   4 a pull failed   5 a push failed   70 a bug   130 interrupted

Commands about containers, volumes and networks have the exit codes of docker: 125 for a wrong flag, 1 for a wrong
number of arguments and whatever else is refused, 64 for a template of ``inspect`` that cannot be parsed.
"""

import atexit
import gc
import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from pybuild.builder.cli.flags.fast_path import fast_path_build
from pybuild.builder.cli.tools import Session, Tools, begin
from pybuild.builder.interrupts import INTERRUPTED, Interrupts

_DEBUG = frozenset({"-D", "--debug"})
_COMPLETING = "_PYBUILD_COMPLETE"
_GC_THRESHOLD = 100_000
"""New objects between two garbage collections: a short-lived process keeps most of what it allocates."""


def main() -> NoReturn:
    """Run the command line of this process and exit."""
    if None in {sys.stdin, sys.stdout, sys.stderr}:
        _open_missing()
    if sys.getfilesystemencoding() != "utf-8":
        from pybuild.builder.utf8 import start_again

        start_again()
    for stream in (sys.stdout, sys.stderr):
        # A character that the locale cannot show must not make the command fail.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if "utf8" in sys._xoptions and isinstance(sys.stderr, io.TextIOWrapper):  # noqa: SLF001 - documented
        from pybuild.builder.utf8 import follow_the_locale

        follow_the_locale(sys.stderr)
    if _COMPLETING in os.environ:
        from pybuild.builder.cli.commands.store.completion import register

        register()
    gc.set_threshold(_GC_THRESHOLD)
    end = _End()
    # The first handler that is registered is the last one that is called.
    atexit.register(end)
    exit_code = _run_to_its_end()
    try:
        sys.stdout.flush()
    except OSError:
        # Otherwise the interpreter would try to flush again when it ends, and print a second error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    end.exit_code = exit_code
    sys.exit(exit_code)


class _End:
    """Ends the process before the interpreter frees each object, which takes up to 7 ms."""

    exit_code: int | None = None

    def __call__(self) -> None:
        """End the process, if there is an exit code. Threads have ended then, and all other handlers were called."""
        if self.exit_code is None:
            return
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(self.exit_code)


def _open_missing() -> None:
    """Open /dev/null for each standard stream that the caller closed (``2>&-``).

    Otherwise the next file that is opened, such as one of the store, would get its number and be written to by mistake.
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
    except OSError:  # EBADF
        return False
    return True


def _run_to_its_end() -> int:
    """Run the command line of this process and return its exit code. After an interrupt further signals are ignored."""
    try:
        with Interrupts():
            # Called as "executor" it replaces Kaniko's program, which also has a command "version".
            kaniko = os.path.basename(sys.argv[0]) == "executor" and sys.argv[1:] != ["version"]
            name = ["executor"] if kaniko else []
            return run([*name, *sys.argv[1:]])
    except KeyboardInterrupt:
        return INTERRUPTED  # interrupted while another failure was being reported


def run(arguments: Sequence[str], tools: Tools | None = None) -> int:
    """Run the command line *arguments* and return the exit code. Tests pass replacements in *tools*."""
    current = begin(tools or Tools())
    try:
        return _carry_out(arguments, current)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except BaseException as error:  # noqa: BLE001 - users get a message, never a traceback
        return _report_failure(error, current, debug=not _DEBUG.isdisjoint(arguments))


def _carry_out(arguments: Sequence[str], current: Session) -> int:
    build = fast_path_build(arguments, os.environ)
    if build is not None:
        from pybuild.builder.cli.commands.build.carry_out import ReportSettings, carry_out

        current.root, mode, request = build
        try:
            return carry_out(request, ReportSettings(mode=mode))
        except KeyboardInterrupt:
            sys.stderr.write("\n")  # after the ^C that a terminal shows, as click does
            raise
    done = _run_without_click(arguments, current)
    if done is not None:
        return done
    from pybuild.builder.cli.group import cli

    result = cli.main(list(arguments), prog_name="pybuild", standalone_mode=False)
    return result if isinstance(result, int) else 0


def _run_without_click(arguments: Sequence[str], current: Session) -> int | None:
    """Carry out a command that is read without click; return None, and do nothing, for any other."""
    at = 2 if arguments[:1] == ["--root"] and len(arguments) > 2 and arguments[1] else 0
    name, words = arguments[at] if len(arguments) > at else "", arguments[at + 1 :]
    if name not in {"exec", "inspect", "logs", "ps", "run"}:
        return None
    before, current.root = current.root, arguments[1] if at else None
    done = _fast_path(name, words)
    if done is None:
        current.root = before
    return done


def _fast_path(name: str, words: Sequence[str]) -> int | None:
    if name == "exec":
        from pybuild.builder.cli.fast_path import exec as fast_exec

        return fast_exec.command(words)
    if name == "inspect":
        from pybuild.builder.cli.fast_path import inspect as fast_inspect

        return fast_inspect.command(words)
    if name == "logs":
        from pybuild.builder.cli.fast_path import logs

        return logs.command(words)
    if name == "run":
        from pybuild.builder.cli.commands.image import run_image

        return run_image.command(words)
    from pybuild.builder.cli.fast_path import ps

    return ps.command(words)


def _report_failure(error: BaseException, current: Session, *, debug: bool) -> int:
    from pybuild.builder.cli.failures import describe
    from pybuild.builder.store.free_space import store_failure

    # An error of the disk that the store is on names the store.
    known = store_failure(error, current.opened) if isinstance(error, OSError) and current.opened else None
    failure = describe(known or error, debug=debug)
    sys.stderr.write(failure.text)
    sys.stderr.flush()
    return failure.exit_code
