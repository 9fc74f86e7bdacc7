"""Builds of which one process, whichever, is killed with -9 at any moment: what is left, and whether the next build works.

A build on the rung ``chroot`` lends its cache mount to the tree of a step. Each build there needs a file of the cache, so
that one works only when no kill before it has lost the cache. A step moves the whole cache, which pybuild must find again,
but not that file inside of it: a kill in between would leave the cache as the step did, and all later builds would fail.
"""

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.helpers import bases
from tests.helpers.contexts import write_context
from tests.helpers.default_container import in_default_container
from tests.helpers.leftovers import marked_descendants, mounts_below
from tests.helpers.ordinary import ordinary_user
from tests.helpers.program import Program, build_arguments
from tests.helpers.restricted import Restricted

RUNGS = ("root", "userns", "single", "chroot")
SECRET = "the content of a secret"
TEXT = """FROM small AS left
COPY many /many/
RUN cat /many/* > /left && sleep 0.05
FROM small
COPY large /large
RUN head -c 300000 /dev/urandom > /right
RUN mkdir -p /a/b/c && rm -r /home
COPY --from=left /left /
RUN --mount=type=cache,target=/c touch /c/x && sha256sum /left > /sum && rm /etc/motd
"""
_CHROOT_TEXT = """FROM small AS left
ARG n
COPY many /many/
RUN --mount=type=cache,target=/c : $n && test -e /c/kept && cat /many/* > /left && (setsid sleep 1000 & sleep 1000 &) && sleep 0.05
FROM small
ARG n
RUN : $n && head -c 300000 /dev/urandom > /right && mkdir -p /a/b/c && rm -r /home
COPY --from=left /left /
RUN --mount=type=cache,target=/c --mount=type=secret,id=s test -e /c/kept && mv /c /lent && rm /etc/motd
"""
_PATIENCE = 60


@dataclass(slots=True, kw_only=True)
class Killed:
    """How many builds after a kill worked, what the others said, and what was left in all."""

    good: int = 0
    said: list[str] = field(default_factory=list)
    processes: int = 0
    mounts: int = 0
    remains: int = 0
    """Trees of steps, and files of the store with the content of a secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """The program on a rung, its store as this host sees it, the context as the program sees it."""

    program: Program
    store: Path
    context: Path
    words: Callable[[int], Sequence[str]]
    """The options of a build that is to run its steps, by a number that no other build has."""


def killed(rung: str, rounds: int, draw: random.Random, directory: Path) -> Killed:
    """Kill processes of builds on *rung*, *rounds* times."""
    place, found = _place(rung, directory), Killed()
    started = time.monotonic()
    place.program.build(place.context, *place.words(-1))
    usual = time.monotonic() - started
    with marked_descendants() as living:
        for number in range(rounds):
            _kill_one(place, number * 2, draw.uniform(0, usual), draw)
            deadline = time.monotonic() + _PATIENCE
            while (left := living()) and time.monotonic() < deadline:
                time.sleep(0.02)
            found.processes += len(left)
            found.mounts += len(mounts_below(place.store))
            done = place.program.build(place.context, *place.words(number * 2 + 1), check=False)
            found.good += done.exit_code == 0
            if done.exit_code:
                found.said.append(done.printed.strip().rpartition("ERROR: ")[2].splitlines()[0])
            found.remains += len(list(place.store.glob("*/tmp-*")))
    found.remains += subprocess.run(["grep", "-rqF", SECRET, place.store], check=False).returncode == 0
    return found


def _kill_one(place: _Place, number: int, after: float, draw: random.Random) -> None:
    process = place.program.start(*build_arguments(place.context, place.words(number)))
    time.sleep(after)
    tree = _tree(process.pid)
    if isinstance(place.program, Restricted):
        # The first one stands for the container around the builder.
        tree = tree[1:] or tree
    with suppress(ProcessLookupError):
        os.kill(draw.choice(tree), signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):  # those that hang are counted as left
        process.communicate(timeout=_PATIENCE)


def _tree(parent: int) -> list[int]:
    """The ids of *parent* and of all processes below it."""
    found, waiting = [], [parent]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        with suppress(OSError, ValueError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
    return found


def context_of(directory: Path, text: str = TEXT) -> Path:
    """Write a context with some files and the Dockerfile *text*."""
    files = {f"many/{number}": "x" * number for number in range(100)}
    return write_context(directory, {"Dockerfile": text, "large": "0123456789abcdef" * 65536, **files})


def fresh(store: Path) -> Program:
    """The program on a new store that has the base."""
    made = Program(store=store)
    made.import_tar(bases.small(), "small")
    return made


def _place(rung: str, directory: Path) -> _Place:
    match rung:
        case "chroot":
            return _in_a_container(directory)
        case "root":
            program = fresh(directory / "store")
            context = context_of(directory / "context")
            return _Place(program=program, store=program.store, context=context, words=lambda _: ("--no-cache",))
    user = ordinary_user(directory / "home", subordinate="tester:500000:65536" if rung == "userns" else "nobody:1:1")
    context = context_of(user.directory / "context")
    shutil.copy(bases.small(), user.directory / "small.tar")
    subprocess.run(["chown", "-R", f"--reference={user.directory}", context], check=True)
    user.import_small()
    store = user.directory / "store"
    return _Place(program=user, store=store, context=user.seen(context), words=lambda _: ("--no-cache",))


def _in_a_container(directory: Path) -> _Place:
    program = in_default_container(Program(store=directory / "store"))
    program.import_tar(bases.small(), "small")
    first = {"Dockerfile": "FROM small\nRUN --mount=type=cache,target=/c touch /c/kept\n"}
    program.build(write_context(directory / "first", first))
    context = context_of(directory / "context", _CHROOT_TEXT)
    (context / "s").write_text(SECRET)
    secret = f"--secret=id=s,src={context}/s"
    return _Place(
        program=program,
        store=program.store,
        context=context,
        words=lambda number: (secret, f"--build-arg=n={number}"),
    )
