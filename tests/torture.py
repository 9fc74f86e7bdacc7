"""Faults in numbers: ``python -m tests.torture [--seed N] [--kills N] [--chroot N] [--crowd N] [--points N] [--cuts N]``, by root.

    kills    kill -9 of one process of a build, whichever, at any moment: what is left, and whether the next build works
    chroot   the same for builds on the rung chroot, which lend their cache mounts to the trees of steps
    crowd    eight builders at once beside a loop of prune and rmi: builds that failed
    points   a disk of every size between nothing and enough: builds that left a store which the next cannot use
    cuts     a loss of power at any moment of some builds: whether the store is whole, has what was finished, and builds

Every line tells how many of how many went well; the exit code is 1 when one did not. The same seed draws the same moments.
"""

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests import power_loss
from tests.helpers import bases
from tests.helpers.contexts import write_context
from tests.helpers.default_container import in_default_container
from tests.helpers.leftovers import mounts_below, processes_of
from tests.helpers.program import Program, build_arguments

_BUILDERS = 8
_CUT_BUILDS = 6
_PATIENCE = 30
_TEXT = """FROM small AS left
COPY many /many/
RUN cat /many/* > /left && sleep 0.05
FROM small
COPY large /large
RUN head -c 300000 /dev/urandom > /right && mkdir -p /a/b/c && rm -r /home
COPY --from=left /left /
RUN --mount=type=cache,target=/c touch /c/x && sha256sum /left > /sum && rm /etc/motd
"""


def _context(directory: Path, text: str = _TEXT) -> Path:
    files = {f"many/{number}": "x" * number for number in range(100)}
    return write_context(directory, {"Dockerfile": text, "large": "0123456789abcdef" * 65536, **files})


def _fresh(store: Path) -> Program:
    made = Program(store=store)
    made.import_tar(bases.small(), "small")
    return made


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


def kills(rounds: int, draw: random.Random, place: Path) -> tuple[int, int, int]:
    """Return how many builds after a kill worked, and how many processes and mounts were left in all."""
    program, context = _fresh(place / "store"), _context(place / "context")
    started = time.monotonic()
    program.build(context)
    usual = time.monotonic() - started
    good = processes = mounts = 0
    for _ in range(rounds):
        process = program.start(*build_arguments(context, ("--no-cache",)))
        time.sleep(draw.uniform(0, usual))
        with suppress(ProcessLookupError):
            os.kill(draw.choice(_tree(process.pid)), signal.SIGKILL)
        process.communicate()
        deadline = time.monotonic() + _PATIENCE
        while (left := processes_of(str(program.store))) and time.monotonic() < deadline:
            time.sleep(0.02)
        processes += len(left)
        mounts += len(mounts_below(program.store))
        good += program.build(context, "--no-cache", check=False).exit_code == 0
    return good, processes, mounts


_CHROOT_TEXT = """FROM small AS left
ARG n
COPY many /many/
RUN --mount=type=cache,target=/c : $n && test -e /c/kept && cat /many/* > /left && (setsid sleep 1000 & sleep 1000 &) && sleep 0.05
FROM small
ARG n
RUN : $n && head -c 300000 /dev/urandom > /right && mkdir -p /a/b/c && rm -r /home
COPY --from=left /left /
RUN --mount=type=cache,target=/c --mount=type=secret,id=s test -e /c/kept && mv /c/kept /c/moved && rm /etc/motd && mv /c/moved /c/kept
"""


def chroot_kills(rounds: int, draw: random.Random, place: Path) -> tuple[int, int, int]:
    """Return the same as `kills` on the rung chroot, with left trees and secrets in the place of mounts.

    Each build needs a file in a cache mount, which lies in the tree of its step while that runs; so a build works only
    when no kill before it has lost the cache.
    """
    program = in_default_container(Program(store=place / "store"))
    program.import_tar(bases.small(), "small")
    context = _context(place / "context", _CHROOT_TEXT)
    (context / "s").write_text("the content of a secret")
    write_context(place / "first", {"Dockerfile": "FROM small\nRUN --mount=type=cache,target=/c touch /c/kept\n"})
    program.build(place / "first")
    options = (f"--secret=id=s,src={context}/s",)
    started = time.monotonic()
    program.build(context, *options)
    usual = time.monotonic() - started
    good = processes = left = 0
    for number in range(rounds):
        process = program.start(*build_arguments(context, (*options, f"--build-arg=n={number}")))
        time.sleep(draw.uniform(0, usual))
        with suppress(ProcessLookupError):
            # The first one stands for the container around the builder.
            os.kill(draw.choice(_tree(process.pid)[1:] or [process.pid]), signal.SIGKILL)
        process.communicate()
        deadline = time.monotonic() + _PATIENCE
        while (rooted := _rooted_below(program.store)) and time.monotonic() < deadline:
            time.sleep(0.02)
        processes += len(rooted)
        good += program.build(context, *options, f"--build-arg=n={-number - 1}", check=False).exit_code == 0
        left += len(list(program.store.glob("*/tmp-*")))
    left += subprocess.run(["grep", "-rqF", "the content of a secret", program.store], check=False).returncode == 0
    return good, processes, left


def _rooted_below(directory: Path) -> list[str]:
    """Processes whose root lies below *directory*."""
    found = []
    for path in Path("/proc").glob("[0-9]*/root"):
        with suppress(OSError):
            if os.readlink(path).startswith(f"{directory}/"):
                found.append(path.parent.name)
    return found


def crowd(rounds: int, draw: random.Random, place: Path) -> tuple[int, list[str]]:
    """Return how many of ``8 * rounds`` builds worked beside prune and rmi, and what the others said."""
    program = _fresh(place / "store")
    contexts = [_context(place / f"context{n}", _TEXT + f"RUN echo {n} > /n\n") for n in range(_BUILDERS)]
    failed: list[str] = []
    good = [0] * _BUILDERS
    ended = threading.Event()

    def build(number: int) -> None:
        for _ in range(rounds):
            done = program.build(contexts[number], *draw.choice([(), ("--no-cache",)]), tag=f"n{number}", check=False)
            good[number] += done.exit_code == 0
            if done.exit_code:
                failed.append(done.printed.strip().rpartition("ERROR: ")[2].splitlines()[0])

    def remove() -> None:
        while not ended.is_set():
            program.run("prune", "-f", check=False)
            program.run("rmi", f"n{draw.randrange(_BUILDERS)}", check=False)

    remover = threading.Thread(target=remove)
    builders = [threading.Thread(target=build, args=(number,)) for number in range(_BUILDERS)]
    for thread in (remover, *builders):
        thread.start()
    for thread in builders:
        thread.join()
    ended.set()
    remover.join()
    return sum(good), failed


@contextmanager
def _disk(directory: Path, size: int) -> Iterator[Callable[[str], None]]:
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "pybuild-torture", directory], check=True)
    try:
        yield lambda more: subprocess.run(["mount", "-o", f"remount,size={more}", directory], check=True) and None
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)
        directory.rmdir()


def points(rounds: int, place: Path) -> tuple[int, int]:
    """Return at how many sizes of the disk the build said one thing, and the next worked; and at how many it was full."""
    whole, fresh = _fresh(place / "whole"), _fresh(place / "fresh")
    context = _context(place / "context")
    base = _used(whole.store)
    whole.build(context)
    wanted = _used(whole.store) * 4
    good = full = 0
    for number in range(rounds):
        with _disk(place / "disk", base * 2 + (wanted - base) * number // rounds) as grow:
            shutil.copytree(fresh.store, place / "disk/store", symlinks=True)
            program = Program(store=place / "disk/store")
            done = program.build(context, check=False)
            full += done.exit_code != 0
            clean = "Traceback" not in done.printed and "[Errno" not in done.printed
            grow("1g")
            good += clean and program.build(context, check=False).exit_code == 0
    return good, full


def cuts(rounds: int, draw: random.Random, place: Path) -> tuple[int, list[str]]:
    """Return after how many losses of power the store was whole, and what was wrong with the others."""
    context = _context(place / "context")
    finished: list[tuple[int, str]] = []
    with power_loss.logged_disk(place) as disk:
        program = _fresh(disk.mount / "store")
        begun = disk.now()
        finished.append((begun, "small:latest"))
        for number in range(_CUT_BUILDS):
            (context / "many/0").write_text(f"{number}")
            program.build(context, tag=f"n{number}")
            finished.append((disk.now(), f"n{number}:latest"))
            program.run("create", "--name", f"c{number}", "-v", f"v{number}:/data", "small", "true")
            if number == _CUT_BUILDS // 2:
                program.run("rmi", "n0")
                program.run("prune", "-f")
                finished = [each for each in finished if each[1] != "n0:latest"]
        ended = disk.now()
    wrong: list[str] = []
    for _ in range(rounds):
        moment = draw.randrange(begun, ended + 1)
        with disk.cut(moment, draw):
            wanted = {name for when, name in finished if when <= moment}
            wrong += _wrong_after_cut(program, context, wanted)
    return rounds - len(wrong), wrong


def _wrong_after_cut(program: Program, context: Path, wanted: set[str]) -> list[str]:
    """Return what is wrong with the store of *program* after a loss of power, where images *wanted* were finished."""
    for path in (program.store / "blobs/sha256").iterdir():
        if hashlib.sha256(path.read_bytes()).hexdigest() != path.name:
            return [f"a blob is not what its name says: {path.name}"]
    listed = program.run("images", "--format", "{{.Repository}}:{{.Tag}}", check=False)
    names = set(listed.stdout.split())
    if listed.returncode or not wanted <= names:
        return [f"{sorted(wanted - names)} lost: {listed.stderr}"]
    for name in sorted(names):
        saved = program.run("save", "-o", os.fspath(program.store.parent / "saved.tar"), name, check=False)
        if saved.returncode:
            return [f"{name}: {saved.stderr}"]
    for words in (("ps", "-a"), ("volume", "ls"), ("df",), ("prune", "-f")):
        done = program.run(*words, check=False)
        if done.returncode:
            return [f"{words[0]}: {done.stderr}"]
    built = program.build(context, check=False)
    return [] if built.exit_code == 0 else [built.printed[-500:]]


def _used(directory: Path) -> int:
    return int(subprocess.run(["du", "-sB1", directory], check=True, capture_output=True, text=True).stdout.split()[0])


def main(words: list[str]) -> int:
    """Run what *words* ask for, print a line for each, and return the exit code."""
    parser = argparse.ArgumentParser(prog="torture")
    for name, default in (("seed", 1), ("kills", 500), ("chroot", 100), ("crowd", 50), ("points", 100), ("cuts", 100)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args(words)
    bad = 0
    with tempfile.TemporaryDirectory(prefix="torture-") as made:
        for name in ("kills", "chroot", "crowd", "points", "cuts"):
            (place := Path(made, name)).mkdir()
            text, wrong = _told(name, getattr(asked, name), random.Random(asked.seed), place)
            bad += wrong
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()
    return 1 if bad else 0


def _told(name: str, rounds: int, draw: random.Random, place: Path) -> tuple[str, bool]:
    if rounds == 0:
        return f"{name}: left out", False
    if name == "kills":
        good, processes, mounts = kills(rounds, draw, place)
        text = f"kills: {good}/{rounds} next builds worked; left: {processes} processes, {mounts} mounts"
        return text, good < rounds or processes > 0 or mounts > 0
    if name == "chroot":
        good, processes, left = chroot_kills(rounds, draw, place)
        text = f"chroot: {good}/{rounds} next builds worked; left: {processes} processes, {left} trees and secrets"
        return text, good < rounds or processes > 0 or left > 0
    if name == "crowd":
        good, failed = crowd(rounds, draw, place)
        return f"crowd: {good}/{_BUILDERS * rounds} builds worked; others: {sorted(set(failed))}", bool(failed)
    if name == "cuts":
        if not power_loss.is_installed():
            return f"cuts: left out, {power_loss.DAEMON} is not installed", False
        good, wrong = cuts(rounds, draw, place)
        return f"cuts: {good}/{rounds} stores were whole after a loss of power; others: {wrong}", good < rounds
    good, full = points(rounds, place)
    return f"points: {good}/{rounds} stores worked afterwards; the disk was full at {full}", good < rounds


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
