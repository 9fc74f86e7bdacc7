"""How time and memory grow with the size of the work: ``python -m tests.benchmarks.growth --help``.

Each kind of work is done by pybuild alone, cold, in several sizes. What one unit costs must stay the same: the column
shows milliseconds per step or microseconds per file, of wall time and of processor time, beside the time of a build of
one unit, which is taken off first.
"""

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.builders import Pybuild
from tests.benchmarks.contexts import fill_small
from tests.benchmarks.measure import Command, measure
from tests.helpers import bases

_STEPS = (10, 100, 1000, 5000)
_FILES = (1000, 10_000, 100_000, 1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of work: the Dockerfile of so many units, and the files of its context."""

    sizes: tuple[int, ...]
    dockerfile: Callable[[int], str]
    files: Callable[[int], int] = lambda _count: 1
    unit: float = 1e3
    """What seconds are multiplied by: 1e3 for milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Seconds on the clock and of processors, and bytes of the largest process."""

    wall: float
    processor: float
    peak: int


def _lines(form: str) -> Callable[[int], str]:
    return lambda count: "FROM small\n" + "".join(form.format(number) for number in range(count))


def _mixed(count: int) -> str:
    forms = ("COPY file /c{0}\n", "ENV e{0}=x\n", "LABEL l{0}=x\n", "WORKDIR /w{0}\n")
    return "FROM small\n" + "".join(forms[number % len(forms)].format(number) for number in range(count))


def _stages(count: int) -> str:
    names = "".join(f"FROM s{number - 1} AS s{number}\nENV e{number}=x\n" for number in range(1, count))
    return f"FROM small AS s0\nENV e0=x\n{names}"


_KINDS = {
    "files": Kind(sizes=_FILES, dockerfile=lambda _count: "FROM small\nCOPY tree /t\n", files=int, unit=1e6),
    # An overlay has at most 500 layers below it.
    "run": Kind(sizes=(10, 100, 500), dockerfile=_lines("RUN true {0}\n")),
    "copy": Kind(sizes=_STEPS, dockerfile=_lines("COPY file /c{0}\n")),
    "label": Kind(sizes=_STEPS, dockerfile=_lines("LABEL l{0}=x\n")),
    "env": Kind(sizes=_STEPS, dockerfile=_lines("ENV e{0}=x\n")),
    "workdir": Kind(sizes=_STEPS, dockerfile=_lines("WORKDIR /w{0}\n")),
    "mixed": Kind(sizes=_STEPS, dockerfile=_mixed),
    # A Dockerfile has at most 1,000 stages.
    "stages": Kind(sizes=_STEPS[:3], dockerfile=_stages),
}


def main(arguments: Sequence[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.growth", description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(_KINDS)}; default: all")
    parser.add_argument("--most", type=int, default=_FILES[-1], help="largest size")
    parser.add_argument("--directory", help="where to work")
    asked = parser.parse_args(arguments)
    sys.stdout.write(
        "| work | size | wall | processor | wall per unit | processor per unit | peak |\n|---|---|---|---|---|---|---|\n"
    )
    for name in asked.kinds or _KINDS:
        kind = _KINDS[name]
        with tempfile.TemporaryDirectory(prefix="pybuild-growth-", dir=asked.directory) as scratch:
            _grow(name, kind, Path(scratch), [size for size in kind.sizes if size <= asked.most])


def _grow(name: str, kind: Kind, scratch: Path, sizes: Sequence[int]) -> None:
    builder = Pybuild(directory=scratch / "pybuild")
    builder.bring_base(bases.small())
    measure(_build(builder, kind, scratch / "first", 1))
    fixed = _cost(_build(builder, kind, scratch / "fixed", 1))
    for size in sizes:
        cost = _cost(_build(builder, kind, scratch / str(size), size))
        per_unit = [(used - base) * kind.unit / size for used, base in _pairs(cost, fixed)]
        cells = [
            name,
            f"{size:,}",
            f"{cost.wall:.2f} s",
            f"{cost.processor:.2f} s",
            *(f"{each:.2f}" for each in per_unit),
        ]
        sys.stdout.write(f"| {' | '.join(cells)} | {cost.peak / 1e6:.0f} MB |\n")
        sys.stdout.flush()


def _pairs(cost: Cost, fixed: Cost) -> tuple[tuple[float, float], ...]:
    return (cost.wall, fixed.wall), (cost.processor, fixed.processor)


def _build(builder: Pybuild, kind: Kind, context: Path, size: int) -> Command:
    (context / "tree").mkdir(parents=True)
    fill_small(kind.files(size))(context / "tree")
    (context / "file").write_text(f"{context}-{os.getpid()}-{time.time_ns()}")
    first, _, others = kind.dockerfile(size).partition("\n")
    (context / "Dockerfile").write_text(f"{first}\nENV NONCE={os.getpid()}-{time.time_ns()}\n{others}")
    return builder.build(context, context.name)


def _cost(command: Command) -> Cost:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    measured = measure(command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall=measured.seconds, processor=used, peak=measured.peak)


if __name__ == "__main__":
    main(sys.argv[1:])
