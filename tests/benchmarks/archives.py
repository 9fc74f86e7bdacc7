"""Rows of images that are there: saved to a file, and loaded from it."""

from pathlib import Path

from tests.benchmarks.builders import Builder
from tests.benchmarks.contexts import GIGABYTE, Place, fill_large
from tests.benchmarks.measure import Command, measure
from tests.benchmarks.rows import ONE_COPY, Row

IMAGES = ("docker", "containerd", "buildah", "pybuild")
"""The builders that make images; the result of BuildKit alone is its cache."""


def large(builder: Builder, place: Place) -> None:
    context = place.context("large", ONE_COPY, fill_large(int(GIGABYTE * place.scale)))
    measure(builder.build(context, "large"))


def _archive(builder: Builder, place: Place) -> Path:
    return place.directory / f"large-{builder.name}.tar"


def _save(builder: Builder, place: Place, _attempt: int) -> Command:
    large(builder, place)
    _archive(builder, place).unlink(missing_ok=True)
    return builder.save("large", _archive(builder, place))


def _load(builder: Builder, place: Place, attempt: int) -> Command:
    if attempt == 0:
        measure(_save(builder, place, attempt))
    return builder.load(_archive(builder, place), "large")


ARCHIVE_ROWS = (
    Row(name="save-1g", title="save of 1 GB", budget="0.25", arrange=_save, runs=3, builders=IMAGES),
    Row(name="load-1g", title="load of 1 GB", budget="0.25", arrange=_load, runs=3, builders=IMAGES),
)
