"""What steps cost on each rung of isolation, beside Buildah: ``python -m tests.benchmarks.rung_costs --help``, by root.

A RUN of ``true`` is the difference between a build of many and a build of one. An installation is the difference to nothing:
a build whose last step it is, and whose other steps are cached. Places take turns, and figures are medians. Buildah caches
steps, as pybuild does. Do not start this with a real-time priority: threads of Buildah wait by sched_yield(2), which then
takes the processor from everybody.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pybuild.runtime.kernel.syscalls import PR_SET_CHILD_SUBREAPER, prctl
from tests.benchmarks.measure import Command, measure
from tests.helpers import bases
from tests.helpers.contexts import write_context
from tests.helpers.default_container import in_default_container
from tests.helpers.ordinary import OrdinaryUser, ordinary_user
from tests.helpers.program import Program, build_arguments

_SUBORDINATE = "tester:500000:65536"
_OWN_ID = "nobody-here:1:1"
_INSTALL = "RUN DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends /debs/*.deb\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Seconds on the clock and of processors."""

    wall: float
    processor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A builder on a rung: the directory of its contexts, what it calls that, and the words of a build of one."""

    name: str
    directory: Path
    seen: Path
    build: Callable[[Path, str], Command]
    bring: Callable[[Path, str], None]
    """Make an image of an archive in *directory*."""

    def cost(self, context: str, dockerfile: str) -> Cost:
        """Build *dockerfile* in the directory *context*."""
        owner = self.directory.stat()
        path = write_context(self.directory / context, {"Dockerfile": dockerfile})
        subprocess.run(["chown", "-R", f"{owner.st_uid}:{owner.st_gid}", path], check=True)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        wall = measure(self.build(self.seen / context, f"tag-{context}")).seconds
        with suppress(ChildProcessError):
            while True:  # a fork server or a worker that outlived its builder for a moment
                os.wait()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Cost(wall=wall, processor=used)


def _pybuild(name: str, program: Program) -> Place:
    directory = program.directory if isinstance(program, OrdinaryUser) else program.store.parent
    seen = program.seen(directory) if isinstance(program, OrdinaryUser) else directory

    def build(context: Path, tag: str) -> Command:
        return Command(words=program.command(*build_arguments(context, tag=tag)), environment=program.environment)

    return Place(name=name, directory=directory, seen=seen, build=build, bring=program.import_tar)


def _buildah(name: str, program: Program, isolation: str) -> Place:
    """Buildah where *program* runs, which is not started."""
    place = _pybuild(name, program)
    # The directory of its run must be short: conmon's sockets lie there.
    words = [*program.command()[:-3], "buildah", "--root", f"{place.seen}/b", "--runroot", f"{place.seen}/r"]
    words += ["--storage-driver", "overlay"]
    environment = {**program.environment, "XDG_RUNTIME_DIR": f"{place.seen}"}

    def command(*arguments: str) -> str:
        done = subprocess.run([*words, *arguments], env=environment, check=False, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{name}: {' '.join(arguments)}: {done.stderr[-2000:]}")
        return done.stdout.strip()

    def bring(archive: Path, image: str) -> None:
        container = command("from", "scratch")
        command("add", container, os.fspath(archive), "/")
        command("commit", "--rm", container, image)

    def build(context: Path, tag: str) -> Command:
        # crun 1.8 refuses hosts that have cgroups of both versions.
        options = ["--layers", "--network=host", "--runtime", "runc", "--isolation", isolation]
        return Command(words=[*words, "build", *options, "-t", tag, os.fspath(context)], environment=environment)

    return Place(name=name, directory=place.directory, seen=place.seen, build=build, bring=bring)


def _places(directory: Path) -> Iterator[Place]:
    def of_user(name: str, subordinate: str) -> OrdinaryUser:
        return ordinary_user(directory / name, subordinate=subordinate)

    def of_root(name: str) -> Program:
        (directory / name).mkdir()
        return Program(store=directory / name / "store")

    yield _pybuild("root", of_root("root"))
    yield _buildah("buildah, root", of_root("b1"), "oci")
    yield _buildah("buildah, root, chroot", of_root("b2"), "chroot")
    yield _pybuild("userns", of_user("userns", _SUBORDINATE))
    yield _buildah("buildah, rootless", of_user("b3", _SUBORDINATE), "rootless")
    yield _buildah("buildah, rootless, chroot", of_user("b4", _SUBORDINATE), "chroot")
    yield _pybuild("single", of_user("single", _OWN_ID))
    yield _pybuild("chroot", in_default_container(of_root("chroot")))


def _prepared(places: Iterator[Place], debs: Path | None) -> Iterator[Place]:
    """Those of *places* that work here, with their bases."""
    for place in places:
        files = {"small": bases.small(), **({"bookworm": bases.bookworm()} if debs else {})}
        try:
            for name, archive in files.items():
                shutil.copy(archive, place.directory / f"{name}.tar")
                place.bring(place.seen / f"{name}.tar", name)
            place.cost("first", "FROM small\nRUN true\n")
        except (RuntimeError, AssertionError) as error:
            sys.stdout.write(f"{place.name}: left out: {str(error)[-400:]}\n")
        else:
            yield place


def _of_true(place: Place, attempt: int, steps: int) -> Cost:
    one, many = (
        place.cost(f"true-{attempt}-{count}", f"FROM small\nENV A={attempt}-{count}\n" + _true(count))
        for count in (1, steps + 1)
    )
    return Cost(wall=(many.wall - one.wall) / steps, processor=(many.processor - one.processor) / steps)


def _true(count: int) -> str:
    return "".join(f"RUN true {number}\n" for number in range(count))


def _of_install(place: Place, attempt: int, debs: Path) -> Cost:
    context = f"install-{attempt}"
    shutil.copytree(debs, place.directory / context / "debs", copy_function=os.link)
    text = f"FROM bookworm\nENV A={attempt}\nCOPY debs /debs/\n"
    place.cost(context, text)
    return place.cost(context, text + _INSTALL)


def main(arguments: Sequence[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.rung_costs", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="of each build")
    parser.add_argument("--steps", type=int, default=20, help="a RUN of true is one of so many")
    parser.add_argument(
        "--debs", type=Path, help="a directory of packages of Debian 12 to install, with all that they need"
    )
    parser.add_argument("--only", nargs="+", help="names of places")
    parser.add_argument("--directory", help="where to work")
    asked = parser.parse_args(arguments)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    with tempfile.TemporaryDirectory(prefix="rungs-", dir=asked.directory, ignore_cleanup_errors=True) as name:
        directory = Path(name)
        directory.chmod(0o755)
        chosen = (each for each in _places(directory) if not asked.only or each.name in asked.only)
        places = list(_prepared(chosen, asked.debs))
        if asked.steps:
            _table("RUN of true, ms", places, asked.runs, 1e3, lambda place, n: _of_true(place, n, asked.steps))
        if asked.debs:
            _table("install, s", places, asked.runs, 1, lambda place, n: _of_install(place, n, asked.debs))


def _table(title: str, places: Sequence[Place], runs: int, unit: float, cost: Callable[[Place, int], Cost]) -> None:
    found: dict[str, list[Cost]] = {place.name: [] for place in places}
    for attempt in range(runs):
        for place in places:
            found[place.name].append(cost(place, attempt))
    sys.stdout.write(f"| {title} | median | least | most | processor | to userns |\n|---|---|---|---|---|---|\n")
    for name, costs in found.items():
        walls = [each.wall * unit for each in costs]
        processor = statistics.median(each.processor * unit for each in costs)
        figures = [f"{each:.3g}" for each in (statistics.median(walls), min(walls), max(walls), processor)]
        pairs = zip(costs, found.get("userns", []), strict=False)
        ratios = [mine.wall / theirs.wall for mine, theirs in pairs]
        sys.stdout.write(f"| {name} | {' | '.join(figures)} | {statistics.median(ratios):.2f} |\n" if ratios else "")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
