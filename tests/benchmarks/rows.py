"""The rows of the table: what is built, and what is different each time it is built.

*Cold* means that no step can be answered by a cache: caches are emptied, and files are new ones at a new place, one of
them with a content never seen before.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.builders import Builder
from tests.benchmarks.contexts import GIGABYTE, Place, fill_ignored, fill_large, fill_small, fill_sparse
from tests.benchmarks.measure import Command, measure

TWO_STAGES = """FROM small AS one
COPY . /in/
RUN ls /in | wc -l > /out
FROM small
COPY --from=one /out /out
RUN wc /out > /count
"""
COPY_TWICE = "FROM small\nCOPY . /in/\nRUN cp -r /in /out && rm -r /in\n"
ONE_COPY = "FROM small\nCOPY . /in/\n"
BUILDERS = ("docker", "containerd", "buildkit", "buildah", "pybuild")
NOT_BUILDAH = ("docker", "containerd", "buildkit", "pybuild")

Arrange = Callable[[Any, Place, int], Command]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of the table. *budget* is the time that pybuild may take, as part of what the best of the others takes."""

    name: str
    title: str
    budget: str
    arrange: Arrange
    runs: int
    builders: tuple[str, ...] = BUILDERS
    remote: bool = False
    """Whether a registry is needed."""
    cold: bool = False
    """Whether each builder forgets its cache before each run."""


def _unchanged(files: int, fill: Callable[[int], Callable[[Path], None]] = fill_small) -> Arrange:
    def arrange(builder: Builder, place: Place, _attempt: int) -> Command:
        name = f"unchanged-{files}"
        context = place.context(name, TWO_STAGES, fill(place.count(files)))
        command = builder.build(context, name)
        measure(command)
        return command

    return arrange


def _cold(name: str, dockerfile: str, fill: Callable[[Place], Callable[[Path], None]]) -> Arrange:
    def arrange(builder: Builder, place: Place, attempt: int) -> Command:
        template = place.context(name, dockerfile, fill(place))
        for old in template.parent.glob(f"{template.name}-*"):
            shutil.rmtree(old)
        context = place.fresh(template, f"{builder.name}-{attempt}-{os.getpid()}")
        return builder.build(context, name)

    return arrange


def _sparse(builder: Builder, place: Place, attempt: int) -> Command:
    name = f"sparse-{builder.name}-{attempt}-{os.getpid()}"
    context = place.context(name, ONE_COPY, fill_sparse(int(4 * GIGABYTE * place.scale)))
    (context / "nonce").write_text(name)
    return builder.build(context, "sparse")


def _many_runs(builder: Builder, place: Place, attempt: int) -> Command:
    steps = "".join(f"RUN echo {number} > /file-{number}\n" for number in range(place.count(50)))
    name = f"runs-{builder.name}-{attempt}"
    context = place.context(name, f"FROM small\nENV NONCE={name}-{os.getpid()}\n{steps}", lambda _path: None)
    return builder.build(context, "runs")


def _many_stages(builder: Builder, place: Place, attempt: int) -> Command:
    """500 stages, each on the one before, of 4 instructions without a layer: reading and planning is all there is."""
    count = place.count(500)
    name = f"stages-{builder.name}-{attempt}"
    first = f"FROM small AS stage-0\nENV NONCE={name}-{os.getpid()}\n"
    others = (
        f"FROM stage-{number - 1} AS stage-{number}\nARG number={number}\nENV LAST=$number\nLABEL last=$number\n"
        for number in range(1, count)
    )
    context = place.context(name, first + "".join(others), lambda _path: None)
    return builder.build(context, "stages")


def _sleeping_stages(builder: Builder, place: Place, attempt: int) -> Command:
    """Eight stages that only wait, and a last one that needs all of them."""
    name = f"sleeping-{builder.name}-{attempt}"
    stages = "".join(
        f"FROM small AS s{number}\nENV NONCE={name}-{os.getpid()}\nRUN sleep 1 && echo {number} > /out\n"
        for number in range(8)
    )
    copies = "".join(f"COPY --from=s{number} /out /out-{number}\n" for number in range(8))
    context = place.context(name, f"{stages}FROM small\n{copies}", lambda _path: None)
    return builder.build(context, "sleeping")


def _steps(kind: str, count: int) -> Arrange:
    """One stage of *count* steps: the time for each step must not grow with their number."""

    def line(number: int) -> str:
        if kind == "run":
            return f"RUN true {number}\n"
        kinds = (f"COPY nonce /c{number}\n", f"ENV e{number}=x\n", f"LABEL l{number}=x\n", f"WORKDIR /w{number}\n")
        return kinds[number % len(kinds)]

    def arrange(builder: Builder, place: Place, attempt: int) -> Command:
        name = f"{kind}-{count}-{builder.name}-{attempt}"
        steps = "".join(map(line, range(place.count(count))))

        def fill(path: Path) -> None:
            (path / "nonce").write_text(f"{name}-{os.getpid()}")

        context = place.context(name, f"FROM small\nENV NONCE={name}-{os.getpid()}\n{steps}", fill)
        return builder.build(context, "steps")

    return arrange


def _parallel_stages(count: int) -> Arrange:
    """As many stages of one COPY each, which wait for nothing."""

    def arrange(builder: Builder, place: Place, attempt: int) -> Command:
        name = f"wide-{count}-{builder.name}-{attempt}"
        numbers = range(place.count(count))
        stages = "".join(f"FROM small AS s{number}\nCOPY nonce /out{number}\n" for number in numbers)
        copies = "".join(f"COPY --from=s{number} /out{number} /\n" for number in numbers)

        def fill(path: Path) -> None:
            (path / "nonce").write_text(f"{name}-{os.getpid()}")

        context = place.context(name, f"{stages}FROM small\n{copies}", fill)
        return builder.build(context, "wide")

    return arrange


def _touched(builder: Builder, place: Place, attempt: int) -> Command:
    context = place.context(f"touched-{builder.name}", ONE_COPY, fill_small(place.count(20000)))
    if attempt == 0:
        measure(builder.build(context, "touched"))
    (context / "folder-0" / "file-0").write_text(f"touched {attempt}\n")
    return builder.build(context, "touched")


def _touched_large(builder: Builder, place: Place, attempt: int) -> Command:
    """1 GB in 20,000 files of 50 kB: what is left when files are too large to be taken from the earlier layer."""
    context = place.context(f"touched-1g-{builder.name}", ONE_COPY, fill_small(place.count(20000), 45000))
    if attempt == 0:
        measure(builder.build(context, "touched-1g"))
    (context / "folder-0" / "file-0").write_text(f"touched {attempt}\n")
    return builder.build(context, "touched-1g")


ROWS = (
    Row(
        name="unchanged-200",
        title="nothing changed, 200-file context, 2 stages",
        budget="0.4",
        arrange=_unchanged(200),
        runs=7,
    ),
    Row(
        name="unchanged-20000",
        title="nothing changed, 20,000-file context",
        budget="0.2",
        arrange=_unchanged(20000),
        runs=5,
    ),
    Row(
        name="noop-60k-ignore",
        title="nothing changed, 60,000 files, five ignore lines with two `**`",
        budget="0.3",
        arrange=_unchanged(60000, fill_ignored),
        builders=NOT_BUILDAH,
        runs=3,
    ),
    Row(
        name="cold",
        title="cold, 2 stages, 2 RUN, 2 COPY",
        budget="0.35",
        arrange=_cold("cold", TWO_STAGES, lambda place: fill_small(place.count(200))),
        runs=7,
        cold=True,
    ),
    Row(
        name="stages-500",
        title="2,000 instructions in 500 stages, settings only, cold",
        budget="0.5",
        arrange=_many_stages,
        builders=NOT_BUILDAH,  # Buildah takes minutes
        runs=5,
        cold=True,
    ),
    Row(name="runs-50", title="50 trivial RUN steps, cold", budget="0.2", arrange=_many_runs, runs=3, cold=True),
    Row(name="sleeping-8", title="8 stages of 1 s each", budget="0.6", arrange=_sleeping_stages, runs=3, cold=True),
    *(
        Row(
            name=f"{kind}-{count}",
            title=f"{count:,} {what}, cold",
            budget="0.4",
            arrange=_steps(kind, count),
            builders=NOT_BUILDAH,
            runs=1,
            cold=True,
        )
        for kind, what, counts in (
            ("run", "RUN of true", (10, 100)),
            ("mixed", "steps of COPY, ENV, LABEL and WORKDIR", (10, 100)),
        )
        for count in counts
    ),
    Row(
        name="mixed-1000",
        title="1,000 steps of COPY, ENV, LABEL and WORKDIR, cold",
        budget="flat",
        arrange=_steps("mixed", 1000),
        builders=("pybuild",),  # others take no more than some 125 layers
        runs=1,
        cold=True,
    ),
    *(
        Row(
            name=f"wide-{count}",
            title=f"{count} parallel stages of one COPY",
            budget="0.4",
            arrange=_parallel_stages(count),
            builders=NOT_BUILDAH,
            runs=1,
            cold=True,
        )
        for count in (10, 100)
    ),
    Row(
        name="copy-20000",
        title="COPY of 20,000 small files, cold",
        budget="0.2",
        arrange=_cold("small-files", ONE_COPY, lambda place: fill_small(place.count(20000))),
        runs=3,
        cold=True,
    ),
    Row(name="touched", title="one of 20,000 files touched", budget="0.12", arrange=_touched, runs=3),
    Row(
        name="touched-1g",
        title="one of 20,000 files of 50 kB touched",
        budget="0.3",
        arrange=_touched_large,
        builders=NOT_BUILDAH,
        runs=3,
    ),
    Row(
        name="copy-run-20000",
        title="COPY of 20,000 files, RUN that copies and removes them, cold",
        budget="0.3",
        arrange=_cold("copied-twice", COPY_TWICE, lambda place: fill_small(place.count(20000))),
        runs=3,
        cold=True,
    ),
    Row(
        name="copy-100000",
        title="COPY of 100,000 small files, cold: five times that of 20,000",
        budget="0.2",
        arrange=_cold("many-files", ONE_COPY, lambda place: fill_small(place.count(100000))),
        builders=NOT_BUILDAH,
        runs=1,
        cold=True,
    ),
    Row(
        name="copy-1g",
        title="COPY of 1 GB in 4 files, cold",
        budget="0.5",
        arrange=_cold("large-files", ONE_COPY, lambda place: fill_large(int(GIGABYTE * place.scale))),
        runs=3,
        cold=True,
    ),
    Row(
        name="copy-sparse",
        title="COPY of a file of 4 GB that is a hole, cold",
        budget="0.3",
        arrange=_sparse,
        builders=NOT_BUILDAH,
        runs=3,
        cold=True,
    ),
)
