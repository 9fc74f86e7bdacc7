"""``pybuild df``: what the store takes on the disk, and how much of it prune would give back."""

from collections.abc import Iterable

import click

from builder import gc
from builder.commands.listing import Row, listing
from builder.commands.tools import Command, format_option, machine, root_option, say
from builder.display.units import human_size
from builder.machine import Machine
from builder.oci.digest import Digest
from builder.oci.model import Descriptor

_HEADERS = {
    "Type": "TYPE",
    "TotalCount": "TOTAL",
    "Active": "ACTIVE",
    "Size": "SIZE",
    "Reclaimable": "RECLAIMABLE",
}


@click.command("df", cls=Command, short_help="Show what the store takes on the disk.")
@format_option
@root_option
def command(template: str | None) -> None:
    """Show what the store takes on the disk.

    ACTIVE is what images with a name need. What "prune -a" would remove is RECLAIMABLE.
    """
    opened = machine()
    try:
        with opened.in_use():
            rows = [_images(opened), _cache(opened), _snapshots(opened)]
    finally:
        opened.close()
    say(listing(rows, _HEADERS, tuple(_HEADERS), template))


def _images(opened: Machine) -> Row:
    entries = opened.layout.entries()
    digests = {descriptor.digest for _, descriptor in entries}
    named = {descriptor.digest for name, descriptor in entries if name}
    active = _sizes(opened, _named_blobs(opened))
    return _row("Images", (len(digests), len(named)), _sizes(opened, gc.mark(opened).blobs), active)


def _cache(opened: Machine) -> Row:
    """The cache has what records name, besides what images need."""
    records = [layers for _, layers, _ in opened.cache.records()]
    size = _sizes(opened, set(opened.blobs.digests()) - gc.mark(opened).blobs)
    needed = _named_blobs(opened)
    active = sum(all(Digest.parse(layer.digest) in needed for layer in layers) for layers in records)
    return _row("Build Cache", (len(records), active), size, 0)


def _snapshots(opened: Machine) -> Row:
    sizes = {name: gc.snapshot_size(opened, name) for name in opened.snapshots.names()}
    needed = gc.mark_images(opened, _named_images(opened)).snapshots
    active = {name: size for name, size in sizes.items() if name in needed}
    return _row("Unpacked Layers", (len(sizes), len(active)), sum(sizes.values()), sum(active.values()))


def _named_images(opened: Machine) -> list[Descriptor]:
    return [descriptor for name, descriptor in opened.layout.entries() if name]


def _named_blobs(opened: Machine) -> set[Digest]:
    return gc.mark_images(opened, _named_images(opened)).blobs


def _sizes(opened: Machine, digests: Iterable[Digest]) -> int:
    return sum(opened.blobs.path(digest).stat().st_size for digest in digests if opened.blobs.exists(digest))


def _row(kind: str, counts: tuple[int, int], size: int, active: int) -> Row:
    free = size - active
    share = f" ({100 * free // size}%)" if size else ""
    return {
        "Type": kind,
        "TotalCount": str(counts[0]),
        "Active": str(counts[1]),
        "Size": human_size(size),
        "Reclaimable": human_size(free) + share,
    }
