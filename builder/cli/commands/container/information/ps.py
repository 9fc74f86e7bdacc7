"""``pybuild ps``: the containers of the store."""

from functools import partial

import click

from pybuild.builder.cli.command import Command, format_option, root_option
from pybuild.builder.cli.commands.container.common import opened_containers
from pybuild.builder.cli.flags.group import option, takes
from pybuild.builder.cli.format.container_filters import container_filter
from pybuild.builder.cli.format.containers import COLUMNS, HEADERS, container_row
from pybuild.builder.cli.format.listing import listing
from pybuild.builder.cli.tools import say, warn
from pybuild.builder.containers.catalog import Containers, StoredContainer
from pybuild.builder.containers.files import written_size
from pybuild.builder.containers.state import ALIVE, State
from pybuild.builder.image.catalog import find
from pybuild.builder.oci.errors import OciError
from pybuild.builder.store.store import Store
from pybuild.runtime.values import frozen


@frozen
class PsFlags:
    """Which containers are listed, and how."""

    everything: bool = option("-a", "--all", is_flag=True, help="Show all containers (default: only running ones).")
    filters: tuple[str, ...] = option(
        "-f", "--filter", empty=True, multiple=True, metavar="KEY=VALUE", help="Show only matching containers."
    )
    last: int = option(
        "-n",
        "--last",
        type=int,
        default=-1,
        metavar="NUMBER",
        help="Show the last NUMBER created containers, in any state.",
    )
    latest: bool = option("-l", "--latest", is_flag=True, help="Show the latest created container, in any state.")
    no_trunc: bool = option("--no-trunc", is_flag=True, help="Do not truncate the output.")
    quiet: bool = option("-q", "--quiet", is_flag=True, help="Show IDs only.")
    size: bool = option("-s", "--size", is_flag=True, help="Show the disk usage of containers.")

    def chosen(self, containers: Containers) -> list[tuple[StoredContainer, State]]:
        """Return the containers that are listed with their states, the newest first. Raises RequestError."""
        found = [(each, each.state) for each in containers.all()]
        passes, tells_state = container_filter(
            containers.store.root, self.filters, partial(_image_id, containers.store)
        )
        most = 1 if self.latest else self.last
        if not (self.everything or tells_state or most >= 0):
            found = [pair for pair in found if pair[1].status in ALIVE]
        found = [pair for pair in found if passes(pair[0])]
        return found[:most] if most >= 0 else found


@click.command("ps", cls=Command)
@takes(PsFlags, "flags")
@format_option
@root_option
def command(*, flags: PsFlags, template: str | None) -> None:
    """List running containers, the newest first.

    Filters: ancestor, before, exited, expose, health, id, label, name, network, publish, since, status and volume. Of
    several filters with the same key, one must match; of labels all must.
    """
    with opened_containers() as containers:
        measured = flags.size or bool(template and "Size" in template)
        rows = [
            container_row(
                each, state, whole=flags.no_trunc, size=written_size(containers.store, each) if measured else 0
            )
            for each, state in flags.chosen(containers)
        ]
    if flags.quiet and template:
        warn("Ignoring custom format, because both --format and --quiet are set.")
    if flags.quiet:
        text = "\n".join(row["ID"] for row in rows)
    else:
        text = listing(rows, HEADERS, (*COLUMNS, *(["Size"] if flags.size else [])), template)
    if text:
        say(text)


def _image_id(store: Store, name: str) -> str:
    try:
        return find(store, name).id
    except OciError:
        return ""
