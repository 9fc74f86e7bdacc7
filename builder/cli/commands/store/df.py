"""``pybuild df``: the disk usage of the store, and how much of it prune would reclaim."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import click

from pybuild.builder.cli.command import Command, format_option, root_option
from pybuild.builder.cli.commands.store.df_containers import (
    CONTAINER_COLUMNS,
    VOLUME_HEADERS,
    MeasuredContainer,
    MeasuredVolume,
    measured_containers,
    measured_volumes,
)
from pybuild.builder.cli.commands.store.df_images import HEADERS, image_usage
from pybuild.builder.cli.format.containers import HEADERS as CONTAINER_HEADERS
from pybuild.builder.cli.format.listing import Row, listing
from pybuild.builder.cli.housekeeping import shown
from pybuild.builder.cli.tools import say, store
from pybuild.builder.display.sanitize import clean_line
from pybuild.builder.display.units import human_duration, human_size
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.progress import silent
from pybuild.builder.prune import gc
from pybuild.builder.prune.policy import limits
from pybuild.builder.prune.usage import disk_usage
from pybuild.builder.store.cache_mounts import StoredMount, cache_mounts, in_use
from pybuild.builder.store.store import Store
from pybuild.builder.store.worker_calls import SendEvent, call_in_worker_if_unpacked

_HEADERS = {
    "Type": "TYPE",
    "TotalCount": "TOTAL",
    "Active": "ACTIVE",
    "Size": "SIZE",
    "Reclaimable": "RECLAIMABLE",
}
_MOUNT_HEADERS = {"Name": "CACHE MOUNT", "Size": "SIZE", "LastUsed": "LAST USED", "InUse": "IN USE"}


class _Usage(NamedTuple):
    """The disk usage of one kind of data: *counts* are all and active ones, *size* and *active* are bytes."""

    kind: str
    counts: tuple[int, int]
    size: int
    active: int


class _MeasuredMount(NamedTuple):
    """A cache mount, its disk usage, and whether a step uses it right now."""

    mount: StoredMount
    size: int
    in_use: bool


@click.command("df", cls=Command)
@click.option("-v", "--verbose", is_flag=True, help="List each image and each cache mount.")
@format_option
@root_option
def command(*, template: str | None, verbose: bool) -> None:
    """Show the disk usage of the store.

    ACTIVE counts what images with a name need, containers that run, volumes that a container has, and cache mounts that
    a step uses right now. RECLAIMABLE is what "prune -a", "container prune" and "volume prune -a" would remove. With -v
    all of them are listed, and --format applies to the cache mounts.
    """
    opened = store()
    try:
        rows, each, listed, kept = call_in_worker_if_unpacked(_measure, opened, silent, verbose=verbose)
    finally:
        opened.close()
    if not verbose:
        say(listing(rows, _HEADERS, tuple(_HEADERS), template))
        if not template:
            _tell(kept)
        return
    mounts = listing(each, _MOUNT_HEADERS, tuple(_MOUNT_HEADERS), template)
    if not template:
        cache = next(row["Size"] for row in rows if row["Type"] == "Build Cache")
        for title, (lines, headers, columns) in listed.items():
            say(f"{title} space usage:\n\n{listing(lines, headers, columns, None)}\n")
        say(f"Build cache usage: {cache}\n\nCache mounts space usage:\n")
    say(mounts)


_Table = tuple[list[Row], Mapping[str, str], tuple[str, ...]]
"""The rows of a table, the titles of their fields, and the fields that are shown."""


def _measure(
    opened: Store, _send_event: SendEvent, *, verbose: bool
) -> tuple[list[Row], list[Row], dict[str, _Table], str]:
    """Return the rows of the table, those of cache mounts, other tables by title, and the limits of the store."""
    with opened.in_use():
        containers, volumes, mounts = measured_containers(opened), measured_volumes(opened), _measure_mounts(opened)
        images, *others = _usages(opened, mounts)
        living = (_living("Containers", containers), _living("Local Volumes", volumes))
        rows = [_row(usage) for usage in (images, *living, *others)]
        each = [_mount_row(mount) for mount in mounts] if verbose else []
        tables = _tables(opened, containers, volumes) if verbose else {}
        return rows, each, tables, shown(limits(opened.root))


def _tables(
    opened: Store, containers: Sequence[MeasuredContainer], volumes: Sequence[MeasuredVolume]
) -> dict[str, _Table]:
    return {
        "Images": (image_usage(opened), HEADERS, tuple(HEADERS)),
        "Containers": ([each.row() for each in containers], CONTAINER_HEADERS, CONTAINER_COLUMNS),
        "Local Volumes": ([each.row() for each in volumes], VOLUME_HEADERS, tuple(VOLUME_HEADERS)),
    }


def _living(kind: str, measured: Sequence[MeasuredContainer] | Sequence[MeasuredVolume]) -> _Usage:
    """Return the usage of containers or volumes, which `prune -a` does not remove."""
    active = [each.size for each in measured if each.is_active]
    return _Usage(kind, (len(measured), len(active)), sum(each.size for each in measured), sum(active))


def _tell(kept: str) -> None:
    """Print on standard error how to reclaim space; standard output is for the table, which scripts read."""
    click.echo(
        '\n"pybuild prune" removes what neither an image nor the build cache needs; "pybuild prune -a" also removes'
        f" the build cache: all that is RECLAIMABLE, but containers and volumes.\nBuild cache {kept}.",
        err=True,
    )


def reclaimable(opened: Store) -> int:
    """Return how many bytes ``prune -a`` would reclaim."""
    return sum(usage.size - usage.active for usage in _usages(opened, _measure_mounts(opened)))


def _usages(opened: Store, mounts: Sequence[_MeasuredMount]) -> list[_Usage]:
    """Return the usage of what ``prune -a`` removes, images first."""
    entries = opened.layout.entries()
    held = gc.mark(opened).blobs
    needed = gc.mark_images(opened, [descriptor for name, descriptor in entries if name])
    return [
        _images(opened, entries, held, needed.blobs),
        _cache(opened, held, needed.blobs),
        _mounts(mounts),
        _snapshots(opened, needed.snapshots),
    ]


def _images(
    opened: Store, entries: Sequence[tuple[str | None, Descriptor]], held: set[Digest], needed: set[Digest]
) -> _Usage:
    digests = {descriptor.digest for _, descriptor in entries}
    named = {descriptor.digest for name, descriptor in entries if name}
    return _Usage("Images", (len(digests), len(named)), _sizes(opened, held), _sizes(opened, needed))


def _cache(opened: Store, held: set[Digest], needed: set[Digest]) -> _Usage:
    """Return the usage of the build cache: its blobs are those that records name and no image needs."""
    records = [layers for _, layers, _ in opened.cache.records()]
    size = _sizes(opened, set(opened.blobs.digests()) - held)
    active = sum(all(layer.digest in needed for layer in layers) for layers in records)
    return _Usage("Build Cache", (len(records), active), size, 0)


def _measure_mounts(opened: Store) -> list[_MeasuredMount]:
    """Measure each cache mount. That reads its whole tree, so it is done only once."""
    return [_MeasuredMount(mount, disk_usage(mount.directory), in_use(mount, opened)) for mount in cache_mounts(opened)]


def _mounts(mounts: Sequence[_MeasuredMount]) -> _Usage:
    active = [each.size for each in mounts if each.in_use]
    return _Usage("Cache Mounts", (len(mounts), len(active)), sum(each.size for each in mounts), sum(active))


def _mount_row(measured: _MeasuredMount) -> Row:
    return {
        "Name": clean_line(measured.mount.name.removeprefix("cache mount ")),
        "Size": human_size(measured.size),
        "LastUsed": f"{human_duration(max(0.0, time.time() - measured.mount.used))} ago",
        "InUse": str(measured.in_use).lower(),
    }


def _snapshots(opened: Store, needed: set[str]) -> _Usage:
    sizes = {name: gc.snapshot_size(opened, name) for name in gc.snapshot_names(opened)}
    active = [size for name, size in sizes.items() if name in needed]
    return _Usage("Unpacked Layers", (len(sizes), len(active)), sum(sizes.values()), sum(active))


def _sizes(opened: Store, digests: Iterable[Digest]) -> int:
    return sum(opened.blobs.path(digest).stat().st_size for digest in digests if opened.blobs.exists(digest))


def _row(usage: _Usage) -> Row:
    free = usage.size - usage.active
    share = f" ({100 * free // usage.size}%)" if usage.size else ""
    return {
        "Type": usage.kind,
        "TotalCount": str(usage.counts[0]),
        "Active": str(usage.counts[1]),
        "Size": human_size(usage.size),
        "Reclaimable": human_size(free) + share,
    }
