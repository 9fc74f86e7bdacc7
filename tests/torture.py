"""Faults in numbers: ``python -m tests.torture [--seed N] [--root N] [--userns N] [--single N] [--chroot N] [--crowd N] ...``, by root.

    root     kill -9 of one process of a build, whichever, at any moment: what is left, and whether the next build works
    userns   the same for builds of a user with subordinate ids
    single   the same for builds of a user without
    chroot   the same for builds in a default container, which lend their cache mounts to the trees of steps
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
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import power_loss
from tests.helpers.program import Program
from tests.kills import RUNGS, TEXT, context_of, fresh, killed

_BUILDERS = 8
_CUT_BUILDS = 6


def crowd(rounds: int, draw: random.Random, place: Path) -> tuple[int, list[str]]:
    """Return how many of ``8 * rounds`` builds worked beside prune and rmi, and what the others said."""
    program = fresh(place / "store")
    contexts = [context_of(place / f"context{n}", TEXT + f"RUN echo {n} > /n\n") for n in range(_BUILDERS)]
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
    whole, base_only = fresh(place / "whole"), fresh(place / "fresh")
    context = context_of(place / "context")
    base = _used(whole.store)
    whole.build(context)
    wanted = _used(whole.store) * 4
    good = full = 0
    for number in range(rounds):
        with _disk(place / "disk", base * 2 + (wanted - base) * number // rounds) as grow:
            shutil.copytree(base_only.store, place / "disk/store", symlinks=True)
            program = Program(store=place / "disk/store")
            done = program.build(context, check=False)
            full += done.exit_code != 0
            clean = "Traceback" not in done.printed and "[Errno" not in done.printed
            grow("1g")
            good += clean and program.build(context, check=False).exit_code == 0
    return good, full


def cuts(rounds: int, draw: random.Random, place: Path) -> tuple[int, list[str]]:
    """Return after how many losses of power the store was whole, and what was wrong with the others."""
    context = context_of(place / "context")
    finished: list[tuple[int, str]] = []
    with power_loss.logged_disk(place) as disk:
        program = fresh(disk.mount / "store")
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
    parser.add_argument("--seed", type=int, default=1)
    defaults = {**dict.fromkeys(RUNGS, 500), "crowd": 50, "points": 100, "cuts": 100}
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args(words)
    bad = 0
    with tempfile.TemporaryDirectory(prefix="torture-") as made:
        for name in defaults:
            (place := Path(made, name)).mkdir()
            place.parent.chmod(0o755)
            text, wrong = _told(name, getattr(asked, name), random.Random(asked.seed), place)
            bad += wrong
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()
    return 1 if bad else 0


def _told(name: str, rounds: int, draw: random.Random, place: Path) -> tuple[str, bool]:
    if rounds == 0:
        return f"{name}: left out", False
    if name in RUNGS:
        found = killed(name, rounds, draw, place)
        left = f"{found.processes} processes, {found.mounts} mounts, {found.remains} trees and secrets"
        text = f"{name}: {found.good}/{rounds} next builds worked; others: {sorted(set(found.said))}; left: {left}"
        return text, found.good < rounds or found.processes + found.mounts + found.remains > 0
    if name == "crowd":
        good, failed = crowd(rounds, draw, place)
        return f"crowd: {good}/{_BUILDERS * rounds} builds worked; others: {sorted(set(failed))}", bool(failed)
    if name == "cuts":
        if not power_loss.is_installed():
            return f"cuts: not done, {power_loss.DAEMON} is not installed", True
        good, wrong = cuts(rounds, draw, place)
        return f"cuts: {good}/{rounds} stores were whole after a loss of power; others: {wrong}", good < rounds
    good, full = points(rounds, place)
    return f"points: {good}/{rounds} stores worked afterwards; the disk was full at {full}", good < rounds


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
