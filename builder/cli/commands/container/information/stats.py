"""``pybuild stats``: the resource usage of containers."""

import time
from collections.abc import Mapping

import click

from pybuild.builder.cli.command import Command, format_option, root_option
from pybuild.builder.cli.commands.container.common import opened_containers
from pybuild.builder.cli.format.listing import Row, listing
from pybuild.builder.cli.tools import put, say
from pybuild.builder.containers.catalog import StoredContainer
from pybuild.builder.containers.usage import Usage, usage
from pybuild.builder.display.units import human_size

_HEADERS = {
    "Container": "CONTAINER ID",
    "ID": "CONTAINER ID",
    "Name": "NAME",
    "CPUPerc": "CPU %",
    "MemUsage": "MEM USAGE / LIMIT",
    "MemPerc": "MEM %",
    "NetIO": "NET I/O",
    "BlockIO": "BLOCK I/O",
    "PIDs": "PIDS",
}
_COLUMNS = ("ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs")
_INTERVAL = 1.0
_CLEAR = "\x1b[2J\x1b[H"
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


@click.command("stats", cls=Command)
@click.argument("names", nargs=-1, metavar="[CONTAINER...]")
@click.option("-a", "--all", "everything", is_flag=True, help="Show all containers (default: only running ones).")
@click.option("--no-stream", is_flag=True, help="Show the current values once.")
@click.option("--no-trunc", is_flag=True, help="Do not truncate the output.")
@format_option
@root_option
def command(names: tuple[str, ...], *, everything: bool, no_stream: bool, no_trunc: bool, template: str | None) -> None:
    """Show the CPU, memory and disk usage of the named containers, or of all running ones, every second.

    The values are those of cgroups, so containers without a cgroup have none. Network usage is not counted yet.
    """
    with opened_containers() as containers:
        wanted = [containers.find(name) for name in names]
        while True:
            shown = wanted or [each for each in containers.all() if everything or each.state.runs]
            before = {each.id: usage(each) for each in shown}
            time.sleep(_INTERVAL)
            rows = [_row(each, before, usage(each), whole=no_trunc) for each in shown]
            text = listing(rows, _HEADERS, _COLUMNS, template)
            if not no_stream:
                put(_CLEAR)
            if text:
                say(text)
            if no_stream:
                return


def _row(each: StoredContainer, before: Mapping[str, Usage | None], now: Usage | None, *, whole: bool) -> Row:
    then, now = before[each.id] or now or Usage(), now or Usage()
    share = 100 * max(0, now.cpu - then.cpu) / (_INTERVAL * 1e9)
    memory = 100 * now.memory / now.limit if now.limit else 0.0
    identity = each.id if whole else each.id[:12]
    return {
        "Container": identity,
        "ID": identity,
        "Name": each.name,
        "CPUPerc": f"{share:.2f}%",
        "MemUsage": f"{_binary(now.memory)} / {_binary(now.limit)}",
        "MemPerc": f"{memory:.2f}%",
        "NetIO": "0B / 0B",
        "BlockIO": f"{human_size(now.read)} / {human_size(now.written)}",
        "PIDs": str(now.processes),
    }


def _binary(size: float) -> str:
    unit = 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.4g}{_UNITS[unit]}"
