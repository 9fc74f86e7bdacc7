"""``pybuild images``: what the store has."""

import time
from datetime import UTC, datetime

import click

from builder.commands.catalog import Listed, catalog, content_size, familiar
from builder.commands.image_filters import KEYS, created, image_filter, named
from builder.commands.listing import Row, listing
from builder.commands.tools import Command, format_option, machine, root_option, say
from builder.display.units import human_duration, human_size

NONE = "<none>"
_HEADERS = {
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "ID": "IMAGE ID",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "Size": "SIZE",
}


@click.command("images", cls=Command, short_help="List images.")
@click.argument("name", metavar="[NAME[:TAG]]", required=False)
@click.option("-a", "--all", "everything", is_flag=True, help="The same: there are no intermediate images.")
@click.option("--digests", is_flag=True, help="Show the digests of manifests.")
@click.option("-f", "--filter", "filters", multiple=True, metavar="KEY=VALUE", help=f"Keys: {', '.join(KEYS)}.")
@click.option("--no-trunc", is_flag=True, help="Show whole IDs.")
@click.option("-q", "--quiet", is_flag=True, help="Show IDs only.")
@format_option
@root_option
def command(name: str | None, filters: tuple[str, ...], template: str | None, **switches: bool) -> None:
    """List the images of the store, the newest first.

    SIZE is what an image takes in the store: its layers as they are, compressed.

    Filters: before=IMAGE and since=IMAGE compare times of creation; until=TIME takes 24h, a date or seconds since
    1970; label=NAME[=VALUE], dangling=true and reference=PATTERN, of which one must fit.
    """
    opened = machine()
    try:
        passes = image_filter(opened, filters)
        entries = [entry for entry in catalog(opened) if (name is None or named(entry, name)) and passes(entry)]
    finally:
        opened.close()
    entries.sort(key=lambda entry: created(entry) or 0.0, reverse=True)
    rows = [_row(entry, whole=switches["no_trunc"]) for entry in entries]
    if switches["quiet"]:
        _print("\n".join(dict.fromkeys(row["ID"] for row in rows)))
        return
    columns = ["Repository", "Tag", *(["Digest"] if switches["digests"] else []), "ID", "CreatedSince", "Size"]
    _print(listing(rows, _HEADERS, columns, template))


def _print(text: str) -> None:
    if text:
        say(text)


def short_id(identity: str) -> str:
    """Return the twelve digits by which people know an image."""
    return identity.partition(":")[2][:12]


def ago(moment: float | None) -> str:
    """Return how long ago *moment* was."""
    return "N/A" if moment is None else f"{human_duration(max(0.0, time.time() - moment))} ago"


def _row(entry: Listed, *, whole: bool) -> Row:
    moment = created(entry)
    reference = entry.reference
    at = "N/A" if moment is None else datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S +0000 UTC")
    repository, _, tag = familiar(entry.name).rpartition(":") if reference is not None else (entry.name, "", "")
    return {
        "Repository": repository or NONE,
        "Tag": tag or NONE,
        "Digest": str(entry.descriptor.digest),
        "ID": entry.id if whole else short_id(entry.id),
        "CreatedSince": ago(moment),
        "CreatedAt": at,
        "Size": human_size(content_size(entry.image)) if entry.image is not None else "N/A",
    }
