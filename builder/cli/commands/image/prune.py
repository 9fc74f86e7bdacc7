"""``pybuild image prune``: remove images, but no build cache."""

import sys

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.failures import FAILED
from pybuild.builder.cli.format.image_filters import prune_filter
from pybuild.builder.cli.tools import say, store
from pybuild.builder.display.units import human_size
from pybuild.builder.image.catalog import Listed, catalog, familiar
from pybuild.builder.prune import gc
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

    Unlike in Docker, -a also removes images that containers use: give it a filter. until=TIME takes a duration such as
    24h, a date or seconds since 1970, and matches older images; label=NAME[=VALUE] and label!=NAME[=VALUE] match images
    with and without a label. Layers of the build cache stay.
    """
    passes = prune_filter(filters)
    if not force and not _agreed(everything=everything):
        return FAILED
    opened = store()
    try:
        with opened.collecting():
            entries = [entry for entry in catalog(opened) if (everything or not entry.name) and passes(entry)]
            freed = _remove(opened, entries)
    finally:
        opened.close()
    say(f"Total reclaimed space: {human_size(freed)}")
    return None


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


def _agreed(*, everything: bool) -> bool:
    what = "all images" if everything else "all dangling images"
    click.echo(f"WARNING! This will remove {what}.\nAre you sure you want to continue? [y/N] ", nl=False)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
