"""Measure and print the table.

Builders take turns within each run, so that a slow moment of the machine hits all of them, and forget their caches
before each cold one. Figures are medians; the ratio is pybuild's time to that of the best of the others, and the budget
is what it is to be. The CPU ratio is that of processor time, to the one that takes least of it, daemons and what they
start included: on a machine with other work the clock says little. Peak memory is that of the one largest process; for
Docker that is the daemon, with all it keeps from earlier rows. Rows with a registry need Debian's docker-registry; skopeo copies there what pybuild has built, and
compresses nothing. The columns "docker" and "containerd" are `docker build` with each store of images, and "buildkit" is
BuildKit whose result is its cache: nothing is exported.
"""

import argparse
import compileall
import os
import platform
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.archives import ARCHIVE_ROWS
from tests.benchmarks.builders import AnyBuilder, Skopeo
from tests.benchmarks.contexts import Place, Registry
from tests.benchmarks.measure import Measured, measure
from tests.benchmarks.null_registry import null_registry
from tests.benchmarks.present import present_builders
from tests.benchmarks.remote import REMOTE_ROWS
from tests.benchmarks.rows import BUILDERS, ROWS, Row
from tests.helpers.docker_registry import docker_registry

COLUMNS = (*BUILDERS, "skopeo")
ALL_ROWS = (*ROWS, *ARCHIVE_ROWS, *REMOTE_ROWS)


def main(arguments: Sequence[str]) -> None:
    """Measure what *arguments* ask for."""
    asked = _parse(arguments)
    _compile()
    with (
        tempfile.TemporaryDirectory(
            prefix="pybuild-bench-", dir=asked.directory, ignore_cleanup_errors=True
        ) as scratch,
        present_builders(Path(scratch), frozenset(asked.without)) as (shared, builders),
    ):
        columns = [builder.name for builder in builders]
        rows = [row for row in ALL_ROWS if not asked.rows or row.name in asked.rows]
        _head(builders, asked.scale)
        with _registry(Path(scratch) / "registry", rows) as registry:
            place = Place(directory=shared, scale=asked.scale, registry=registry)
            for row in rows:
                if registry.name or not row.remote:
                    _say(_line(row, columns, _measure_row(row, builders, place, asked.runs)))


def _compile() -> None:
    """Compile pybuild's modules as an installation does: in an editable one each start may do so again."""
    for package in ("builder", "grammar", "runtime"):
        compileall.compile_dir(package, quiet=2)


@contextmanager
def _registry(directory: Path, rows: Sequence[Row]) -> Iterator[Registry]:
    """A registry on this machine, when a row needs one and the program is there."""
    if not any(row.remote for row in rows) or shutil.which("docker-registry") is None:
        yield Registry()
        return
    with docker_registry(directory) as running, null_registry() as sink:
        yield Registry(name=running.name, storage=running.storage, sink=sink)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    names = [row.name for row in ALL_ROWS]
    parser.add_argument("--rows", nargs="+", choices=names, metavar="ROW", help=f"of {', '.join(names)}")
    parser.add_argument("--runs", type=int, help="times that each row is measured, instead of its own number")
    parser.add_argument("--scale", type=float, default=1, help="of all sizes; 0.01 for a try")
    parser.add_argument("--without", nargs="+", choices=COLUMNS, default=[], help="leave out a builder")
    parser.add_argument("--directory", help="where to work: a disk of the kind that is asked about")
    return parser.parse_args(arguments)


def _measure_row(row: Row, builders: list[AnyBuilder], place: Place, runs: int | None) -> dict[str, list[Measured]]:
    able = [builder for builder in builders if builder.name in row.builders]
    found: dict[str, list[Measured]] = {builder.name: [] for builder in able}
    for attempt in range(runs or row.runs):
        for builder in able:
            if row.cold and not isinstance(builder, Skopeo):
                builder.forget()
            found[builder.name].append(measure(row.arrange(builder, place, attempt)))
    return found


def _head(builders: list[AnyBuilder], scale: float) -> None:
    system = f"{os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}"
    _say(f"{', '.join(builder.version() for builder in builders)}; {system}; sizes x {scale:g}\n")
    columns = [builder.name for builder in builders]
    heads = ["work", *columns, "ratio", "budget", "CPU ratio", *(f"{name} peak" for name in columns)]
    _say(f"| {' | '.join(heads)} |")
    _say("|" + "---|" * len(heads))


def _line(row: Row, columns: Sequence[str], found: dict[str, list[Measured]]) -> str:
    medians = {name: statistics.median(one.seconds for one in all_of) for name, all_of in found.items()}
    processor = {name: statistics.median(one.processor for one in all_of) for name, all_of in found.items()}
    peaks = {name: max(one.peak for one in all_of) for name, all_of in found.items()}
    cells = [
        row.title,
        *(f"{medians[name]:.3g} s" if name in medians else "-" for name in columns),
        _ratio(medians),
        f"<= {row.budget}",
        _ratio(processor),
        *(f"{peaks[name] / 1e6:.0f} MB" if name in peaks else "-" for name in columns),
    ]
    return f"| {' | '.join(cells)} |"


def _ratio(medians: dict[str, float]) -> str:
    others = [seconds for name, seconds in medians.items() if name != "pybuild"]
    if not others or "pybuild" not in medians:
        return "-"
    return f"{medians['pybuild'] / min(others):.2f}"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
