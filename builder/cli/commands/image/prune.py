"""``pybuild image prune``: remove images, but no build cache."""

import sys
from pathlib import Path

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.failures import FAILED
from pybuild.builder.cli.format.image_filters import prune_filter
from pybuild.builder.cli.tools import say, store
from pybuild.builder.display.units import human_size
from pybuild.builder.image.catalog import Listed, catalog, familiar
from pybuild.builder.prune import gc
from pybuild.builder.store.container_holds import CONTAINERS
from pybuild.builder.store.store import Store


@click.command("image prune", cls=Command)
@click.option("-a", "--all", "everything", is_flag=True, help="Remove all images, not just dangling ones.")
@click.option("-f", "--force", is_flag=True, help="Do not prompt for confirmation.")
@click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="Remove only matching images. Keys: label, label!, until.",
)
@root_option
def command(*, everything: bool, force: bool, filters: tuple[str, ...]) -> int | None:
    """Remove dangling images, which have no name, and print how much space was reclaimed.

    Images that containers use stay. until=TIME takes a duration such as 24h, a date or seconds since 1970, and matches
    older images; label=NAME[=VALUE] and label!=NAME[=VALUE] match images with and without a label. Layers of the build
    cache stay.
    """
    passes = prune_filter(filters)
    if not force and not _confirm(everything=everything):
        return FAILED
    opened = store()
    try:
        with opened.collecting():
            used = _used(opened.root)
            found = (entry for entry in catalog(opened) if entry.id not in used)
            entries = [entry for entry in found if (everything or not entry.name) and passes(entry)]
            freed = _remove(opened, entries)
    finally:
        opened.close()
    say(f"Total reclaimed space: {human_size(freed)}")
    return None


def _used(root: Path) -> frozenset[str]:
    """Return the ids of the images of all containers of the store at *root*."""
    if not (root / CONTAINERS).is_dir():
        return frozenset()
    from pybuild.builder.containers.catalog import all_containers

    return frozenset(container.config.image_id for container in all_containers(root))


def _remove(opened: Store, entries: list[Listed]) -> int:
    if entries:
        say("Deleted Images:")
    for entry in entries:
        if entry.name:
            opened.layout.untag(entry.name)
            say(f"untagged: {familiar(entry.name)}")
    freed = 0
    for entry in {entry.descriptor.digest: entry for entry in entries}.values():
        left = [name for name, listed in opened.layout.entries() if name and listed.digest == entry.descriptor.digest]
        if not left:
            opened.layout.drop(entry.descriptor.digest)
            freed += gc.drop_image(opened, entry.descriptor).size
            say(f"deleted: {entry.id}")
    if entries:
        say("")
    return freed


def _confirm(*, everything: bool) -> bool:
    what = "all images without at least one container associated to them" if everything else "all dangling images"
    click.echo(f"WARNING! This will remove {what}.\nAre you sure you want to continue? [y/N] ", nl=False)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
