"""``pybuild port``: the published ports of a container."""

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.commands.container.common import opened_containers
from pybuild.builder.cli.tools import say
from pybuild.builder.containers.errors import ContainerError
from pybuild.builder.networks.membership import read_live
from pybuild.builder.networks.ports import parse_exposed, shown
from pybuild.builder.networks.values import Live, PublishedPort


@click.command("port", cls=Command)
@click.argument("name", metavar="CONTAINER")
@click.argument("port", required=False, metavar="[PORT[/PROTO]]")
@root_option
def command(name: str, *, port: str | None) -> None:
    """List the published ports of a container that runs, or the addresses of the host that lead to PORT."""
    with opened_containers() as containers:
        container = containers.find(name)
        live = read_live(container.directory) if container.state.runs else None
        lines = _lines(live, port)
        if port is not None and not lines:
            raise ContainerError(f"no public port '{port}' published for {name}")
    if lines:
        say("\n".join(lines))


def _lines(live: Live | None, port: str | None) -> list[str]:
    def order(port: PublishedPort) -> tuple[str, str, int]:
        return port.name, port.place.rpartition(":")[0], port.host_port

    ports = sorted(live.ports if live else (), key=order)
    if port is None:
        return [f"{each.name} -> {where}" for each, where in zip(ports, shown(ports), strict=True)]
    wanted = parse_exposed(port)[0]
    return shown(each for each in ports if each.name == wanted)
