"""The program on each rung of isolation that runs steps."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.helpers.contexts import write_context
from tests.helpers.default_container import in_default_container
from tests.helpers.hosts import need_programs
from tests.helpers.ordinary import HOME, ordinary_user, user_in_a_pod
from tests.helpers.program import Program

RUNGS = ("root", "userns", "single", "chroot")
POD = "pod"
"""The rung ``single`` as in a pod."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The program on a rung, a directory for contexts, and what the program calls that."""

    rung: str
    program: Program
    directory: Path
    seen: Path

    def context(self, name: str, files: Mapping[str, str]) -> Path:
        """Write a context that belongs to the user of the program; return what the program calls it."""
        write_context(self.directory / name, files)
        self.give(self.directory / name)
        return self.seen / name

    def give(self, path: Path) -> None:
        """Make *path*, and all below it, files of the user of the program."""
        subprocess.run(["chown", "-RhP", f"--reference={self.directory}", path], check=True)

    def import_tar(self, tar: Path, name: str) -> None:
        """Make an image of one layer out of *tar*, any file of this host."""
        copy = self.directory / f"{name}.tar"
        copy.write_bytes(tar.read_bytes())
        self.program.import_tar(self.seen / copy.name, name)
        copy.unlink()


def place_on(rung: str, directory: Path) -> Place:
    """Return the program on *rung* with a store of its own in the new *directory*. Skips where this host lacks something."""
    if rung in {"root", "chroot"}:
        directory.mkdir(parents=True)
        program = Program(store=directory / "store")
        made = program if rung == "root" else in_default_container(program)
        return Place(rung=rung, program=made, directory=directory, seen=directory)
    need_programs(["setpriv", "unshare", *(["newuidmap"] if rung == "userns" else [])])
    ids = "tester:500000:65536" if rung == "userns" else "nobody-here:1:1"
    user = user_in_a_pod(directory) if rung == POD else ordinary_user(directory, subordinate=ids)
    return Place(rung=rung, program=user, directory=directory, seen=HOME)


def each_rung(*, group: str) -> list[object]:
    """Return the parameters of a fixture that is made once for each rung, in one process of the tests."""
    return [pytest.param(rung, marks=pytest.mark.xdist_group(f"{group}-{rung}")) for rung in RUNGS]
