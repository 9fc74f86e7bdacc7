"""``pybuild ps``: the containers of the store."""

import click

from pybuild.builder.cli.command import Command, format_option, root_option
from pybuild.builder.cli.commands.container.common import opened_containers
from pybuild.builder.cli.format.container_filters import container_filter
from pybuild.builder.cli.format.containers import COLUMNS, HEADERS, container_row
from pybuild.builder.cli.format.listing import listing
from pybuild.builder.cli.tools import say
from pybuild.builder.containers.files import written_size
from pybuild.builder.containers.state import ALIVE
from pybuild.builder.errors import RequestError


@click.command("ps", cls=Command)
@click.option("-a", "--all", "everything", is_flag=True, help="Show all containers (default: only running ones).")
@click.option("-f", "--filter", "filters", multiple=True, metavar="KEY=VALUE", help="Show only matching containers.")
@click.option(
    "-n",
    "--last",
    type=int,
    default=-1,
    metavar="NUMBER",
    help="Show the last NUMBER created containers, in any state.",
)
@click.option("-l", "--latest", is_flag=True, help="Show the latest created container, in any state.")
@click.option("--no-trunc", is_flag=True, help="Do not truncate the output.")
@click.option("-q", "--quiet", is_flag=True, help="Show IDs only.")
@click.option("-s", "--size", is_flag=True, help="Show the disk usage of containers.")
@format_option
@root_option
def command(  # noqa: PLR0917 - click hands them over by name
    everything: bool,
    filters: tuple[str, ...],
    last: int,
    latest: bool,
    no_trunc: bool,
    quiet: bool,
    size: bool,
    template: str | None,
) -> None:
    """List running containers, the newest first.

    Filters: ancestor, before, exited, expose, id, label, name, network, publish, since, status and volume. Of several
    filters with the same key, one must match; of labels all must.
    """
    with opened_containers() as containers:
        found = [(each, each.state) for each in containers.all()]
        passes, tells_state = container_filter(containers, filters)
        most = 1 if latest else last
        if not (everything or tells_state or most >= 0):
            found = [pair for pair in found if pair[1].status in ALIVE]
        found = [pair for pair in found if passes(pair[0])]
        measured = size or bool(template and "Size" in template)
        rows = [
            container_row(each, state, whole=no_trunc, size=written_size(containers.store, each) if measured else 0)
            for each, state in (found[:most] if most >= 0 else found)
        ]
    if quiet and template:
        raise RequestError("--format and --quiet exclude each other")
    if quiet:
        text = "\n".join(row["ID"] for row in rows)
    else:
        text = listing(rows, HEADERS, (*COLUMNS, *(["Size"] if size else [])), template)
    if text:
        say(text)
