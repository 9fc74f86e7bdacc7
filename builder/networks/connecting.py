"""Connecting containers to networks when they start, and disconnecting them when they have ended.

What will be set up is written to the container's ``network-up.json`` first. So after a crash at any point the next
command finds the file and takes down what it names, whether or not that was set up.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from pybuild.builder.networks.catalog import Networks, log_endpoint
from pybuild.builder.networks.endpoints import Allocation, Joining
from pybuild.builder.networks.errors import NetworkError
from pybuild.builder.networks.membership import all_live, forget_live, read_live, write_live
from pybuild.builder.networks.shared import call_at, is_publisher
from pybuild.builder.networks.values import Endpoint, Live, Membership, NetworkConfig
from pybuild.runtime.errors import RuntimeHostError
from pybuild.runtime.kernel.pidfd import boot_id
from pybuild.runtime.networks import namespaces, netavark
from pybuild.runtime.networks.programs import need
from pybuild.runtime.shared_networks.client import NetworkEnded, PassedFile
from pybuild.runtime.values import replace


def connect_all(
    networks: Networks, joining: Joining, memberships: Iterable[Membership], holder: str = ""
) -> tuple[Live, int]:
    """Connect a starting container to its networks: those of the host, or those inside the shared network of *holder*.

    Return what was set up, and a descriptor of the container's network namespace. The caller holds the lock of the
    container, and closes the descriptor.

    Raises:
        NetworkError: a network does not exist, or has no free address, or a port is in use.
        NetworkFailure: netavark failed. What it had set up is taken down again.
        SandboxUnavailable: netavark is not installed.
    """
    need()
    live = _reserve(networks, joining, memberships, holder)
    try:
        namespace = call_at(networks.root, holder, _set_up_all, live)
    except BaseException:
        disconnect_all(networks.root, joining.directory)
        raise
    for endpoint in live.endpoints:
        log_endpoint(networks.root, "connect", live, endpoint)
    return live, int(namespace)


def _set_up_all(live: Live) -> PassedFile:
    """Make the network namespace of a container, connect it, and return a descriptor of it."""
    with namespaces.locked(beside_others=True):
        if all(netavark.is_up(_connection(live, endpoint, Counter())) for endpoint in live.endpoints):
            # It fails when somebody has removed the rules, and several add them again.
            with suppress(netavark.NetworkFailure):
                return _set_up_new(live, beside_others=True)
    with namespaces.locked():
        return _set_up_new(live)


def _set_up_new(live: Live, *, beside_others: bool = False) -> PassedFile:
    namespace = namespaces.pin_new(live.container)
    try:
        namespaces.open_to_users(namespace)
        for endpoint in live.endpoints:
            netavark.set_up(_connection(live, endpoint, Counter()), beside_others=beside_others)
    except BaseException:
        os.close(namespace)
        raise
    return PassedFile(namespace)


def _take_down_all(root: Path, live: Live) -> None:
    with namespaces.locked():
        neighbours = _count_neighbours(root, live)
        for endpoint in live.endpoints:
            netavark.take_down(_connection(live, endpoint, neighbours))
        namespaces.unpin(live.container)
        # What others use needs no look at all rules of the host.
        if live.ports or not all(neighbours[endpoint.network] for endpoint in live.endpoints):
            netavark.tidy()


def _set_up_one(live: Live, endpoint: Endpoint) -> None:
    with namespaces.locked():
        netavark.set_up(_connection(live, endpoint, Counter()))


def _take_down_one(root: Path, live: Live, endpoint: Endpoint) -> None:
    with namespaces.locked(), suppress(RuntimeHostError):
        netavark.take_down(_connection(live, endpoint, _count_neighbours(root, live)))
        netavark.tidy()


def _reserve(networks: Networks, joining: Joining, memberships: Iterable[Membership], holder: str) -> Live:
    """Choose addresses and ports that no other container has, and write them down before the lock is given up."""
    wanted = [(networks.find(each.network), each) for each in memberships]
    with networks.locked():
        allocation = Allocation(joining, all_live(networks.root))
        publisher = _publisher(network for network, _ in wanted)
        ports = allocation.ports(ipv6=bool(publisher.subnet6)) if publisher is not None else ()
        endpoints = []
        for number, (network, membership) in enumerate(wanted):
            networks.check_free(network)
            published = ports if network == publisher else ()
            endpoints.append(allocation.endpoint(network, membership, f"eth{number}", published))
        live = Live(
            boot=boot_id(),
            space=namespaces.own_name(),
            container=joining.id,
            endpoints=tuple(endpoints),
            ports=ports,
            holder=holder,
        )
        write_live(joining.directory, live)
    return live


def _publisher(networks: Iterable[NetworkConfig]) -> NetworkConfig | None:
    """Return the network through which ports are published: the first one that is not internal, as in Docker."""
    return next((network for network in networks if network.publishes), None)


def _count_neighbours(root: Path, live: Live) -> Counter[str]:
    """Count the other containers on each network, by its id: those with bridges in the same network namespace.

    The caller holds `namespaces.locked`, so that the counts stay right until they are used.
    """
    return Counter(
        endpoint.network
        for other in all_live(root)
        if other.container != live.container
        and (other.boot, other.holder or other.space) == (live.boot, live.holder or live.space)
        for endpoint in other.endpoints
    )


def _connection(live: Live, endpoint: Endpoint, neighbours: Counter[str]) -> netavark.Connection:
    """Return the argument of netavark for *endpoint*."""
    document = json.loads(endpoint.document)
    return netavark.Connection(
        pin=live.container,
        document=document,
        interfaces=(endpoint.interface,),
        bridges=((endpoint.bridge, neighbours[endpoint.network]),) if endpoint.bridge else (),
        closed=(endpoint.bridge,) if endpoint.closed else (),
        published=(endpoint.bridge,) if document["port_mappings"] else (),
        published6=tuple((each.protocol, each.host_port) for each in live.ports if each.is_ipv6),
    )


def disconnect_all(root: Path, directory: Path) -> None:
    """Take down the networks of the container in *directory*, none of whose processes run. The caller holds its lock.

    After a reboot the kernel has nothing of them left, nor after the end of a shared network. What was set up in
    another network namespace of the host cannot be reached from here, and stays written down for a command that runs
    there.
    """
    live = read_live(directory)
    if live is None:
        forget_live(directory)
        return
    if live.boot == boot_id() and not live.private:
        if not live.holder and live.space != namespaces.own_name():
            return
        with suppress(NetworkEnded):
            call_at(root, live.holder, _take_down_all, root, live)
        for endpoint in live.endpoints:
            log_endpoint(root, "disconnect", live, endpoint)
    forget_live(directory)


def connect(networks: Networks, joining: Joining, membership: Membership) -> None:
    """Connect a running container to one more network. The caller holds its lock. Raises as `connect_all`."""
    live = read_live(joining.directory)
    if live is None:
        raise NetworkError("the container has no network of its own")
    network = networks.find(membership.network)
    with networks.locked():
        networks.check_free(network)
        used = {each.interface for each in live.endpoints}
        interface = next(name for name in map("eth{}".format, range(len(used) + 1)) if name not in used)
        endpoint = Allocation(joining, all_live(networks.root)).endpoint(network, membership, interface)
        live = replace(live, endpoints=(*live.endpoints, endpoint))
        write_live(joining.directory, live)
    try:
        call_at(networks.root, live.holder, _set_up_one, live, endpoint)
        log_endpoint(networks.root, "connect", live, endpoint)
    except BaseException:
        _forget_one(networks, joining.directory, live, endpoint)
        raise


def disconnect(networks: Networks, directory: Path, network: NetworkConfig) -> None:
    """Disconnect the running container in *directory* from a network. The caller holds its lock."""
    live = read_live(directory)
    endpoint = next((each for each in live.endpoints if each.network == network.id), None) if live else None
    if live is not None and endpoint is not None:
        _forget_one(networks, directory, live, endpoint)
        log_endpoint(networks.root, "disconnect", live, endpoint)


def _forget_one(networks: Networks, directory: Path, live: Live, endpoint: Endpoint) -> None:
    with suppress(NetworkEnded):
        call_at(networks.root, live.holder, _take_down_one, networks.root, live, endpoint)
    published = is_publisher(endpoint)
    rest = tuple(each for each in live.endpoints if each is not endpoint)
    write_live(directory, replace(live, endpoints=rest, ports=() if published else live.ports))
