"""``pybuild images``: the images of the store."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import click

from pybuild.builder.cli.command import Command, format_option, root_option
from pybuild.builder.cli.flags.completion_types import IMAGE
from pybuild.builder.cli.flags.group import option, takes
from pybuild.builder.cli.format.image_filters import KEYS, created, image_filter, named
from pybuild.builder.cli.format.listing import Row, listing
from pybuild.builder.cli.tools import say, store
from pybuild.builder.display.units import human_duration, human_size
from pybuild.builder.image.catalog import Listed, catalog, familiar, image_of
from pybuild.builder.oci import media
from pybuild.builder.oci.stored_index import disk_size, listed_manifests
from pybuild.builder.store.store import Store
from pybuild.runtime.values import frozen

NONE = "<none>"
_HEADERS = {
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "ID": "IMAGE ID",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "Size": "SIZE",
    "VirtualSize": "SIZE",
    "Containers": "CONTAINERS",
    "SharedSize": "SHARED SIZE",
    "UniqueSize": "UNIQUE SIZE",
}


@frozen
class ImagesFlags:
    """Which images are listed, and how."""

    everything: bool = option("-a", "--all", is_flag=True, help="No effect: there are no intermediate images.")
    digests: bool = option("--digests", is_flag=True, help="Show digests.")
    filters: tuple[str, ...] = option(
        "-f",
        "--filter",
        empty=True,
        multiple=True,
        metavar="KEY=VALUE",
        help=f"Filter the list. Keys: {', '.join(KEYS)}.",
    )
    no_trunc: bool = option("--no-trunc", is_flag=True, help="Do not truncate the output.")
    quiet: bool = option("-q", "--quiet", is_flag=True, help="Show only image IDs.")
    tree: bool = option("--tree", is_flag=True, help="List the images of a multi-platform image below it.")


@click.command("images", cls=Command)
@click.argument("name", metavar="[NAME[:TAG]]", required=False, type=IMAGE)
@takes(ImagesFlags, "flags")
@format_option
@root_option
def command(name: str | None, *, flags: ImagesFlags, template: str | None) -> None:
    """List the images of the store, the newest first.

    SIZE is the size of an image in the store, with its layers compressed. For a multi-platform image it is the size of
    all its images that are in the store.

    Filters: before=IMAGE and since=IMAGE compare creation times; until=TIME takes a duration such as 24h, a date or
    seconds since 1970; label=NAME[=VALUE]; dangling=true; reference=PATTERN, where one of several must match.
    """
    opened = store()
    try:
        passes = image_filter(opened, flags.filters)
        entries = [entry for entry in catalog(opened) if (name is None or named(entry, name)) and passes(entry)]
        entries.sort(key=lambda entry: created(entry) or 0.0, reverse=True)
        tree = flags.tree and not flags.quiet
        rows = [row for entry in entries for row in _rows(opened, entry, whole=flags.no_trunc, tree=tree)]
    finally:
        opened.close()
    if flags.quiet and template in {None, "", "table"}:
        _print("\n".join(dict.fromkeys(row["ID"] for row in rows)))
        return
    columns = ["Repository", "Tag", *(["Digest"] if flags.digests else []), "ID", "CreatedSince", "Size"]
    _print(listing(rows, _HEADERS, columns, template))


def _print(text: str) -> None:
    if text:
        say(text)


def short_id(identity: str) -> str:
    """Return the first twelve digits of an image ID, as listings show it."""
    return identity.partition(":")[2][:12]


def ago(moment: float | None) -> str:
    """Return how long ago *moment* was."""
    return "N/A" if moment is None else f"{human_duration(max(0.0, time.time() - moment))} ago"


def _rows(opened: Store, entry: Listed, *, whole: bool, tree: bool) -> Iterator[Row]:
    """Yield the row of an entry, and with *tree* those of the images below an index."""
    size = disk_size(opened.blobs, entry.descriptor) if entry.image is not None else None
    yield image_row(entry, size, whole=whole)
    if tree and entry.descriptor.media_type in media.INDEXES:
        for manifest in listed_manifests(opened.blobs, entry.descriptor):
            below = Listed(entry.name, manifest, image_of(opened, manifest))
            size = disk_size(opened.blobs, manifest) if below.image is not None else None
            yield {**image_row(below, size, whole=whole), "Repository": f"  {manifest.platform or NONE}", "Tag": ""}


def image_row(entry: Listed, size: int | None, *, whole: bool) -> Row:
    """Return the fields of an entry that takes *size* bytes; *whole*: with the ID in full."""
    moment = created(entry)
    reference = entry.reference
    at = "N/A" if moment is None else datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S +0000 UTC")
    whole_name = familiar(entry.name).partition("@")[0]
    tag = reference.tag if reference is not None else ""
    shown_size = human_size(size) if size is not None else "N/A"
    return {
        "Repository": (whole_name.removesuffix(f":{tag}") if tag else whole_name) or NONE,
        "Tag": tag or NONE,
        "Digest": str(entry.descriptor.digest),
        "ID": entry.id if whole else short_id(entry.id),
        "CreatedSince": ago(moment),
        "CreatedAt": at,
        "Size": shown_size,
        "VirtualSize": shown_size,
        # As in Docker, this listing does not compute them.
        **dict.fromkeys(("Containers", "SharedSize", "UniqueSize"), "N/A"),
    }
