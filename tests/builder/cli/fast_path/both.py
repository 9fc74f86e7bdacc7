"""Both ways to carry out a command: without click, and with it."""

import shlex
from unittest import mock

from pybuild.builder.cli import main
from tests.builder.cli.commands.container.conftest import masked, until
from tests.builder.cli.conftest import Result, Shop


def started(pen: Shop) -> Shop:
    """The containers *one*, which runs, and *two*, which has ended."""
    pen.run("run", "-d", "--name", "one", "box", "sh", "-c", "echo 1; echo 2 >&2; sleep 1000")
    pen.run("run", "--name", "two", "box", "echo", "two")
    until(lambda: pen.run("logs", "one").err == "2\n")
    return pen


def assert_alike(pen: Shop, module: object, usual: list[str], others: list[str]) -> None:
    """Fail unless every line gives the same both ways, and those that are *usual* need no click."""
    for line in (*usual, *others):
        done: list[int | None] = []
        with mock.patch.object(module, "command", _seen(module, done)):
            found = pen.run(*shlex.split(line))
        assert (line, done == [None]) == (line, line in others)
        with mock.patch.object(main, "_run_without_click", return_value=None):
            assert (line, _shown(found)) == (line, _shown(pen.run(*shlex.split(line))))


def _seen(module: object, done: list[int | None]) -> object:
    command = module.command  # type: ignore[attr-defined]

    def kept(words: list[str]) -> int | None:
        done.append(-1)
        done[-1] = command(words)
        return done[-1]

    return kept


def _shown(result: Result) -> tuple[int, str, str]:
    return result.code, masked(result.out), masked(result.err)
