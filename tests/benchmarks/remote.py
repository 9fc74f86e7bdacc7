"""Rows with a registry on this machine: what is pushed to it, pulled from it, and imported from a cache in it."""

import itertools
import os

from tests.benchmarks.archives import IMAGES, large
from tests.benchmarks.builders import Builder, Pybuild, Skopeo, Transferring
from tests.benchmarks.contexts import GIGABYTE, Place, fill_large
from tests.benchmarks.measure import Command, measure
from tests.benchmarks.rows import Row
from tests.helpers import bases

CACHED = "FROM small\nCOPY . /in/\n" + "".join(f"RUN echo {number} > /file-{number}\n" for number in range(20))
LARGE_LAYERS = "FROM small\n" + "".join(f"COPY large-{number} /\n" for number in range(4))
_NUMBERS = itertools.count()


def _push(builder: Transferring, place: Place, attempt: int) -> Command:
    """To a repository that has nothing of it, nor another of the same registry that it could be mounted from."""
    if attempt == 0 and not isinstance(builder, Skopeo):
        large(builder, place)
    place.registry.empty()
    return builder.push("large", f"{place.registry.name}/{builder.name}-{next(_NUMBERS)}/large:1")


def _push_to_sink(builder: Transferring, place: Place, attempt: int) -> Command:
    if attempt == 0 and not isinstance(builder, Skopeo):
        large(builder, place)
    return builder.push("large", f"{place.registry.sink}/{builder.name}-{next(_NUMBERS)}/large:1")


def _pull(builder: Transferring, place: Place, attempt: int) -> Command:
    name = f"{place.registry.name}/pulled-{builder.name}/large:1"
    if attempt == 0:
        if not isinstance(builder, Skopeo):
            large(builder, place)
        measure(builder.push("large", name))
    return builder.pull(name)


def _import(builder: Builder, place: Place, attempt: int) -> Command:
    """By a builder that knows the base and nothing else."""
    context = place.context("cached", CACHED, fill_large(int(GIGABYTE / 5 * place.scale)))
    name = f"{place.registry.name}/cache-{builder.name}-{os.getpid()}"
    if attempt == 0:
        for command in builder.export_cache(context, name):
            measure(command)
    return builder.import_cache(context, name)


def _run_on_large(builder: Builder, place: Place, attempt: int) -> Command:
    """A RUN on a base of four layers that nobody has: it is pulled, and unpacked for the command."""
    base = f"{place.registry.name}/bases/large:1"
    if not place.registry.holds("bases/large"):
        maker = Pybuild(directory=place.directory / "maker")
        maker.bring_base(bases.small())
        context = place.context("base", LARGE_LAYERS, fill_large(int(GIGABYTE * place.scale)))
        measure(maker.build(context, "base"))
        measure(maker.push("base", base))
    name = f"on-large-{builder.name}-{attempt}"
    context = place.context(name, f"FROM {base}\nRUN ls / > /{name}\n", lambda _path: None)
    return builder.build_on(base, context, "on-large")


REMOTE_ROWS = (
    Row(
        name="from-1g",
        title="FROM of 1 GB in 4 layers, to the end of the first RUN",
        budget="0.3",
        arrange=_run_on_large,
        runs=3,
        remote=True,
    ),
    Row(
        name="push-1g",
        title="push of 1 GB",
        budget="0.25",
        arrange=_push,
        runs=3,
        builders=(*IMAGES, "skopeo"),
        remote=True,
    ),
    Row(
        name="push-1g-null",
        title="push of 1 GB to a registry that keeps nothing",
        budget="0.25",
        arrange=_push_to_sink,
        runs=3,
        builders=(*IMAGES, "skopeo"),
        remote=True,
    ),
    Row(
        name="pull-1g",
        title="pull of 1 GB",
        budget="0.25",
        arrange=_pull,
        runs=3,
        builders=(*IMAGES, "skopeo"),
        remote=True,
    ),
    Row(
        name="cache-import",
        title="all from a cache in a registry: 200 MB, 20 RUN",
        budget="0.5",
        arrange=_import,
        runs=3,
        builders=IMAGES,
        remote=True,
    ),
)
