"""``pybuild exec`` without click, for a running container and the most common flags."""

import os
from collections.abc import Sequence

from pybuild.builder.cli.fast_path.common import KnownFlags, found_container, read
from pybuild.builder.cli.tools import pass_on
from pybuild.builder.containers.catalog import StoredContainer
from pybuild.builder.containers.errors import NotStarted
from pybuild.builder.containers.executing import Inside, execute

_KNOWN = KnownFlags(
    ones={"-u": "user", "--user": "user", "-w": "workdir", "--workdir": "workdir"},
    many={"-e": "env", "--env": "env"},
    switches={
        "-d": "detach",
        "--detach": "detach",
        "-i": "interactive",
        "--interactive": "interactive",
        "-t": "tty",
        "--tty": "tty",
        "--privileged": "privileged",
    },
)


def command(words: Sequence[str]) -> int | None:
    """Carry out ``exec`` with *words* and return the exit code; None, and nothing is done, when click must read them.

    Raises:
        ContainerError: as `execute` raises it.
    """
    given = read(words, _KNOWN)
    if given is None or len(given.words) < 2:
        return None
    name, *program = given.words
    detach, interactive, tty = map(given.has, ("detach", "interactive", "tty"))
    env = [_variable(item) for item in given.many("env")]
    if (interactive and tty and not detach and not os.isatty(0)) or any(not pair for pair in env):
        return None
    container = found_container(name)
    if container is None or container.state.status != "running":
        return None
    inside = Inside(
        words=tuple(program),
        env=tuple(dict(pair for pair in env if pair).items()),
        user=given.one("user"),
        working_dir=given.one("workdir") or "",
        interactive=interactive and not detach,
        terminal=tty and not detach,
        privileged=given.has("privileged"),
    )
    return run_inside(container, inside, detach=detach)


def _variable(item: str) -> tuple[str, str] | None:
    name, equals, value = item.partition("=")
    if not equals and name in os.environ:
        return name, os.environ[name]
    return (name, value) if name and equals else None


def run_inside(container: StoredContainer, inside: Inside, *, detach: bool) -> int:
    """Run a command in a container and return its exit code, with *detach* 0 at once. Raises as `execute` does."""
    try:
        return execute(container, inside, None if detach else pass_on)
    except NotStarted as error:
        from pybuild.builder.cli.failures import Described, Failure, describe

        raise Described(Failure(describe(error).text, error.code)) from error
