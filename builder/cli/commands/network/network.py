"""``pybuild network``: networks that containers are on, and find each other in."""

from collections.abc import Iterable
from typing import Any

import click

from pybuild.builder.cli.command import Command, format_option, root_option
from pybuild.builder.cli.commands.container.common import for_each, opened_containers
from pybuild.builder.cli.commands.network.connections import connect_to, disconnect_from
from pybuild.builder.cli.flags.container.network import checked_address, checked_alias
from pybuild.builder.cli.flags.group import option, takes
from pybuild.builder.cli.format.listing import inspected, listing
from pybuild.builder.cli.format.networks import HEADERS, network_filter, network_row
from pybuild.builder.cli.tools import is_terminal, say
from pybuild.builder.containers.catalog import Containers
from pybuild.builder.errors import RequestError
from pybuild.builder.networks.catalog import Networks, check_driver
from pybuild.builder.networks.document import network_document
from pybuild.builder.networks.membership import all_live
from pybuild.builder.networks.subnets import checked
from pybuild.builder.networks.values import BRIDGE, Membership, NetworkConfig
from pybuild.runtime.values import frozen

_OPTIONS = {
    BRIDGE: {"mtu": "mtu", "com.docker.network.driver.mtu": "mtu"},
    "macvlan": {"parent": "parent", "macvlan_mode": "macvlan_mode"},
    "ipvlan": {"parent": "parent", "ipvlan_mode": "ipvlan_mode"},
}


@click.group("network")
def command() -> None:
    """Manage networks, on which containers have addresses and find each other by name.

    netavark and aardvark-dns set them up: apt-get install netavark aardvark-dns iptables.
    """


@frozen
class CreateFlags:
    """The configuration of a new network."""

    driver: str = option(
        "-d", "--driver", empty=True, default=BRIDGE, metavar="DRIVER", help="bridge (default), macvlan or ipvlan."
    )
    subnets: tuple[str, ...] = option(
        "--subnet",
        empty=True,
        multiple=True,
        metavar="CIDR",
        help="Subnet (default: one that is free). One of IPv4, and one of IPv6 with --ipv6.",
    )
    gateways: tuple[str, ...] = option(
        "--gateway", multiple=True, metavar="ADDRESS", help="Address of the host in it (default: the first one)."
    )
    ip_ranges: tuple[str, ...] = option(
        "--ip-range", multiple=True, metavar="CIDR", help="Part of the subnet that addresses are taken from."
    )
    internal: bool = option(
        "--internal", is_flag=True, help="Let nothing in or out but between its containers, and publish no port."
    )
    attachable: bool = option("--attachable", is_flag=True, help="Accepted for Docker's sake; all networks are.")
    labels: tuple[str, ...] = option(
        "--label", empty=True, multiple=True, metavar="KEY[=VALUE]", help="Set a label of the network; repeatable."
    )
    ipv6: bool = option("--ipv6", is_flag=True, help="Addresses of IPv6 as well as of IPv4.")
    options: tuple[str, ...] = option(
        "-o",
        "--opt",
        empty=True,
        multiple=True,
        metavar="KEY=VALUE",
        help="Option of the driver: mtu; parent, macvlan_mode, ipvlan_mode. Repeatable.",
    )

    def wanted(self, name: str) -> NetworkConfig:
        """Return the configuration, without an id, of a network called *name*. Raises RequestError, NetworkError."""
        pool, pool6 = checked(self.subnets, self.gateways, self.ip_ranges, ipv6=self.ipv6)
        return NetworkConfig(
            id="",
            created="",
            name=name,
            driver=check_driver(self.driver),
            subnet=pool.subnet,
            gateway=pool.gateway,
            ip_range=pool.ip_range,
            subnet6=pool6.subnet,
            gateway6=pool6.gateway,
            ip_range6=pool6.ip_range,
            internal=self.internal,
            attachable=self.attachable,
            labels=tuple((key, value) for key, _, value in (label.partition("=") for label in self.labels)),
            options=_options(self.driver, self.options),
        )


@command.command("create", cls=Command)
@click.argument("name")
@takes(CreateFlags, "flags")
@root_option
def _create(name: str, *, flags: CreateFlags) -> None:
    """Create the network NAME, and print its ID."""
    with opened_containers() as containers:
        say(Networks(containers.store.root).create(flags.wanted(name), ipv6=flags.ipv6).id)


def _options(driver: str, given: Iterable[str]) -> tuple[tuple[str, str], ...]:
    known = _OPTIONS[driver]
    found: dict[str, str] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if key not in known or not equals or not value:
            raise RequestError(
                f"--opt {text} is not supported by the driver {driver}", hint=f"there is {', '.join(known)}"
            )
        found[known[key]] = value
    if driver != BRIDGE and "parent" not in found:
        raise RequestError(f"the driver {driver} divides an interface of the host", hint="name it: --opt parent=eth0")
    return tuple(found.items())


@command.command("ls", cls=Command)
@click.option(
    "-f",
    "--filter",
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="name, id, driver, label, type, scope, dangling.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show IDs only.")
@click.option("--no-trunc", is_flag=True, help="Do not truncate the output.")
@format_option
@root_option
def _list(*, filters: tuple[str, ...], quiet: bool, no_trunc: bool, template: str | None) -> None:
    """List networks in the order of their names."""
    with opened_containers() as containers:
        networks = Networks(containers.store.root)
        passes = network_filter(filters, networks)
        rows = [network_row(each, whole=no_trunc) for each in networks.all() if passes(each)]
    ids = "\n".join(row["ID"] for row in rows)
    if text := ids if quiet else listing(rows, HEADERS, ["ID", "Name", "Driver", "Scope"], template):
        say(text)


@command.command("inspect", cls=Command)
@click.argument("names", nargs=-1, required=True, metavar="NETWORK...")
@click.option("-f", "--format", "template", metavar="FORMAT", help='Print with "json" or a Go template.')
@click.option("-v", "--verbose", is_flag=True, hidden=True)
@root_option
def _inspect(names: tuple[str, ...], *, template: str | None, verbose: bool) -> int | None:
    """Show the details of networks as a JSON array."""
    del verbose
    documents: list[dict[str, Any]] = []
    with opened_containers() as containers:
        networks = Networks(containers.store.root)
        code = for_each(names, lambda name: documents.append(shown_network(containers, networks.find(name))))
    for text in inspected(documents, template):
        say(text)
    return code


def shown_network(containers: Containers, network: NetworkConfig) -> dict[str, Any]:
    """Return the details of a network, with the containers on it, with the fields of docker network inspect."""
    names = {each.id: each.name for each in containers.all()}
    live = [(names[each.container], each) for each in all_live(containers.store.root) if each.container in names]
    return network_document(network, live)


@command.command("connect", cls=Command)
@click.argument("network")
@click.argument("container")
@click.option("--alias", "aliases", multiple=True, metavar="NAME", help="Name in the network; repeatable.")
@click.option("--ip", metavar="ADDRESS", help="IPv4 address in the network.")
@click.option("--ip6", metavar="ADDRESS", help="IPv6 address in the network.")
@click.option("--link", "links", multiple=True, metavar="CONTAINER[:ALIAS]", help="Not supported.")
@root_option
def _connect(network: str, container: str, **flags: Any) -> None:
    """Connect a container to a network, at once if it runs, and whenever it is started."""
    if flags["links"]:
        raise RequestError("network connect --link is not supported", hint="use --alias of the other container")
    wanted = Membership(
        network=network,
        aliases=tuple(map(checked_alias, flags["aliases"])),
        ip=checked_address(flags["ip"], 4),
        ip6=checked_address(flags["ip6"], 6),
    )
    with opened_containers() as containers:
        connect_to(containers, containers.find(container), wanted)


@command.command("disconnect", cls=Command)
@click.argument("network")
@click.argument("container")
@click.option("-f", "--force", is_flag=True, help="Do not fail when the container is not on the network.")
@root_option
def _disconnect(network: str, container: str, *, force: bool) -> None:
    """Disconnect a container from a network."""
    with opened_containers() as containers:
        disconnect_from(containers, containers.find(container), network, force=force)


@command.command("rm", cls=Command)
@click.argument("names", nargs=-1, required=True, metavar="NETWORK...")
@click.option("-f", "--force", is_flag=True, help="Ignore networks that do not exist.")
@root_option
def _remove(names: tuple[str, ...], *, force: bool) -> int | None:
    """Remove networks on which no container runs, and print their names."""
    with opened_containers() as containers:
        networks = Networks(containers.store.root)

        def one(name: str) -> None:
            if not force or any(name in {each.name, each.id} for each in networks.made()):
                networks.remove(networks.find(name))
            say(name)

        return for_each(names, one)


@command.command("prune", cls=Command)
@click.option("-f", "--force", is_flag=True, help="Do not prompt for confirmation.")
@click.option("--filter", "filters", multiple=True, metavar="KEY=VALUE", help="label=KEY[=VALUE].")
@root_option
def _prune(*, force: bool, filters: tuple[str, ...]) -> None:
    """Remove the networks on which no container runs, and print their names."""
    if not force:
        say("WARNING! This will remove all custom networks not used by at least one container.")
        if not is_terminal(0) or not click.confirm("Are you sure you want to continue?", default=False):
            return
    with opened_containers() as containers:
        networks = Networks(containers.store.root)
        gone = networks.prune(network_filter(filters, networks))
    if gone:
        say("\n".join(["Deleted Networks:", *gone, ""]))
