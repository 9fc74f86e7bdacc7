"""Containers are connected to their networks when they start, and disconnected when nothing of them runs any more."""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from pybuild.builder.networks.directory import Networks, tell_of_endpoint
from pybuild.builder.networks.errors import NetworkError
from pybuild.builder.networks.membership import everyone, forget_live, read_live, write_live
from pybuild.builder.networks.ports import allocated, exposed, mappings
from pybuild.builder.networks.subnets import free_address
from pybuild.builder.networks.values import BRIDGE, Endpoint, Live, Membership, NetworkConfig, Networking, PublishedPort
from pybuild.runtime.errors import RuntimeHostError
from pybuild.runtime.monitor.state import boot_id
from pybuild.runtime.networks import namespaces, netavark
from pybuild.runtime.networks.programs import need
from pybuild.runtime.values import frozen, replace


@frozen
class Joining:
    """A container that is about to be on networks: its id, name, directory, what it exposes and what it wants."""

    id: str
    name: str
    directory: Path
    exposed: tuple[str, ...] = ()
    networking: Networking = Networking()


def connect_all(networks: Networks, joining: Joining, attachments: Iterable[Membership]) -> tuple[Live, int]:
    """Set up the networks of a container that starts; return them and a descriptor of its network namespace.

    The caller holds the lock of the container. Raises NetworkError, NetworkFailure, SandboxUnavailable.
    """
    need()
    live = _promised(networks, joining, attachments)
    space = -1
    try:
        with namespaces.locked():
            space = namespaces.pin_new(joining.id)
            namespaces.open_to_users(space)
            for each in live.endpoints:
                netavark.set_up(_connection(networks.root, live, each))
                tell_of_endpoint(networks.root, "connect", live, each)
    except BaseException:
        if space >= 0:
            os.close(space)
        disconnect_all(networks.root, joining.directory)
        raise
    return live, space


def _promised(networks: Networks, joining: Joining, attachments: Iterable[Membership]) -> Live:
    """Choose addresses and ports, and write down what will be set up."""
    wanted = [(networks.find(each.network), each) for each in attachments]
    with networks.locked():
        others = [each for each in everyone(networks.root) if each.container != joining.id]
        endpoints: list[Endpoint] = []
        ports = _ports(wanted, joining, others)
        for number, (network, attachment) in enumerate(wanted):
            networks.check_free(network)
            publishes = bool(ports) and network == _publisher(wanted)
            endpoints.append(
                _endpoint(network, attachment, joining, others, number=number, ports=ports if publishes else ())
            )
        live = Live(
            boot=boot_id(),
            space=namespaces.own_name(),
            container=joining.id,
            endpoints=tuple(endpoints),
            ports=ports,
        )
        write_live(joining.directory, live)
    return live


def _publisher(wanted: Iterable[tuple[NetworkConfig, Membership]]) -> NetworkConfig | None:
    """Return the network over which ports are published: the first one that is not internal."""
    return next((network for network, _ in wanted if network.publishes), None)


def _ports(
    wanted: list[tuple[NetworkConfig, Membership]], joining: Joining, others: Iterable[Live]
) -> tuple[PublishedPort, ...]:
    if _publisher(wanted) is None:
        return ()
    asked = joining.networking.ports
    given = {each.name for each in asked}
    if joining.networking.publish_all:
        asked = (*asked, *(each for each in exposed(joining.exposed) if each.name not in given))
    taken = [port for live in others if live.space == namespaces.own_name() for port in live.ports]
    return allocated(asked, taken)


def _endpoint(
    network: NetworkConfig,
    attachment: Membership,
    joining: Joining,
    others: Iterable[Live],
    *,
    number: int,
    ports: tuple[PublishedPort, ...],
) -> Endpoint:
    taken = {each.ip for live in others for each in live.endpoints if each.network == network.id}
    ip = free_address(network.subnet, network.ip_range, {*taken, network.gateway}, attachment.ip)
    found = Endpoint(
        id=sha256(f"{joining.id} {network.id}".encode()).hexdigest(),
        network=network.id,
        name=network.name,
        interface=f"eth{number}",
        bridge=network.interface if network.driver == BRIDGE else "",
        ip=ip,
        prefix=IPv4Network(network.subnet).prefixlen,
        gateway="" if network.internal else network.gateway,
        mac=attachment.mac or _mac(ip),
        aliases=tuple(dict.fromkeys((joining.name, *attachment.aliases, joining.id[:12]))),
        resolves=network.resolves,
        closed=network.internal and network.driver == BRIDGE,
    )
    return replace(found, document=json.dumps(_document(network, found, joining, ports)))


def _mac(ip: str) -> str:
    """Return an address that goes with *ip*: who comes back with it is known to its neighbours."""
    return ":".join(f"{byte:02x}" for byte in (0x02, 0x42, *IPv4Address(ip).packed))


def _document(
    network: NetworkConfig, endpoint: Endpoint, joining: Joining, ports: tuple[PublishedPort, ...]
) -> dict[str, Any]:
    """Return what netavark is told. Names of users are in it only as those that the name server answers to."""
    options = {"isolate": "true"} if network.driver == BRIDGE else {}
    for key, value in network.options:
        if key != "parent":
            options["mode" if key.endswith("_mode") else key] = value
    return {
        "container_id": joining.id,
        "container_name": joining.name,
        "port_mappings": mappings(ports),
        "dns_servers": list(joining.networking.dns) or None,
        "networks": {
            network.id: {
                "static_ips": [endpoint.ip],
                "interface_name": endpoint.interface,
                "static_mac": endpoint.mac,
                "aliases": list(endpoint.aliases),
            }
        },
        "network_info": {
            network.id: {
                "name": network.id,
                "id": network.id,
                "driver": network.driver,
                "network_interface": network.interface,
                "subnets": [{"subnet": network.subnet, "gateway": network.gateway}],
                "ipv6_enabled": False,
                "internal": network.internal,
                "dns_enabled": network.resolves,
                "options": options,
                "ipam_options": {"driver": "host-local"},
            }
        },
    }


def _connection(root: Path, live: Live, endpoint: Endpoint) -> netavark.Connection:
    """Return *endpoint* as netavark takes it. Who calls holds `namespaces.locked`: the others are counted."""
    others = sum(
        each.network == endpoint.network
        for other in everyone(root)
        if other.container != live.container and (other.boot, other.space) == (live.boot, live.space)
        for each in other.endpoints
    )
    document = json.loads(endpoint.document)
    return netavark.Connection(
        pin=live.container,
        document=document,
        interfaces=(endpoint.interface,),
        bridges=((endpoint.bridge, others),) if endpoint.bridge else (),
        closed=(endpoint.bridge,) if endpoint.closed else (),
        published=(endpoint.bridge,) if document["port_mappings"] else (),
    )


def disconnect_all(root: Path, directory: Path) -> None:
    """Take down what is set up for the container in *directory*, of which nothing runs. The caller holds its lock.

    What was set up before a reboot is gone with it. What another network namespace has is left alone.
    """
    live = read_live(directory)
    if live is None:
        forget_live(directory)
        return
    if live.boot == boot_id():
        if live.space != namespaces.own_name():
            return
        with namespaces.locked():
            for endpoint in live.endpoints:
                netavark.take_down(_connection(root, live, endpoint))
                tell_of_endpoint(root, "disconnect", live, endpoint)
            netavark.let_go(live.container)
    forget_live(directory)


def connect(networks: Networks, joining: Joining, attachment: Membership) -> None:
    """Connect a container that runs to one more network. The caller holds its lock."""
    live = read_live(joining.directory)
    if live is None:
        raise NetworkError("the container has no network of its own")
    network = networks.find(attachment.network)
    with networks.locked():
        networks.check_free(network)
        others = [each for each in everyone(networks.root) if each.container != joining.id]
        used = {each.interface for each in live.endpoints}
        number = next(number for number in range(len(used) + 1) if f"eth{number}" not in used)
        endpoint = _endpoint(network, attachment, joining, others, number=number, ports=())
        whole = replace(live, endpoints=(*live.endpoints, endpoint))
        write_live(joining.directory, whole)
    try:
        with namespaces.locked():
            netavark.set_up(_connection(networks.root, whole, endpoint))
        tell_of_endpoint(networks.root, "connect", whole, endpoint)
    except BaseException:
        _take_one_down(networks, joining.directory, whole, endpoint)
        raise


def disconnect(networks: Networks, directory: Path, network: NetworkConfig) -> None:
    """Disconnect a container that runs from a network. The caller holds its lock."""
    live = read_live(directory)
    endpoint = next((each for each in live.endpoints if each.network == network.id), None) if live else None
    if live is not None and endpoint is not None:
        _take_one_down(networks, directory, live, endpoint)
        tell_of_endpoint(networks.root, "disconnect", live, endpoint)


def _take_one_down(networks: Networks, directory: Path, live: Live, endpoint: Endpoint) -> None:
    with namespaces.locked(), suppress(RuntimeHostError):
        netavark.take_down(_connection(networks.root, live, endpoint))
        netavark.tidy()
    published = bool(json.loads(endpoint.document)["port_mappings"])
    rest = tuple(each for each in live.endpoints if each is not endpoint)
    write_live(directory, replace(live, endpoints=rest, ports=() if published else live.ports))
