"""Choosing the addresses and the ports of a container, and the document by which netavark sets them up."""

import json
from collections.abc import Iterable, Sequence
from hashlib import sha256
from ipaddress import IPv4Address, ip_network
from pathlib import Path
from typing import Any

from pybuild.builder.networks.errors import NetworkError
from pybuild.builder.networks.ports import allocated, exposed, mappings
from pybuild.builder.networks.subnets import free_address
from pybuild.builder.networks.values import BRIDGE, Endpoint, Live, Membership, NetworkConfig, Networking, PublishedPort
from pybuild.runtime.networks import namespaces
from pybuild.runtime.values import frozen, replace


@frozen
class Joining:
    """A container that will be connected to networks. *exposed* are its ports as EXPOSE and ``--expose`` write them."""

    id: str
    name: str
    directory: Path
    exposed: tuple[str, ...] = ()
    networking: Networking = Networking()


class Allocation:
    """Chooses the addresses and the ports of one container, around those that the *others* have."""

    def __init__(self, joining: Joining, others: Iterable[Live]) -> None:
        self._joining = joining
        self._others = [each for each in others if each.container != joining.id]

    def ports(self, *, ipv6: bool = False) -> tuple[PublishedPort, ...]:
        """Return the ports to publish, each with a port of the host. Raises NetworkError when one is in use.

        With *ipv6* those for all addresses of the host are published at its addresses of IPv6, too.
        """
        wanted = self._joining.networking.ports
        if self._joining.networking.publish_all:
            named = {each.name for each in wanted}
            wanted = (*wanted, *(each for each in exposed(self._joining.exposed) if each.name not in named))
        # Another network namespace has ports of its own.
        here = namespaces.own_name()
        taken = [port for live in self._others if live.space == here for port in live.ports]
        return allocated(wanted, taken, ipv6=ipv6)

    def endpoint(
        self, network: NetworkConfig, membership: Membership, interface: str, ports: Sequence[PublishedPort] = ()
    ) -> Endpoint:
        """Return the connection to *network*, with addresses. Raises NetworkError when none is free."""
        ip, ip6 = self._addresses(network, membership)
        chosen = Endpoint(
            id=sha256(f"{self._joining.id} {network.id}".encode()).hexdigest(),
            network=network.id,
            name=network.name,
            interface=interface,
            bridge=network.interface if network.driver == BRIDGE else "",
            ip=ip,
            prefix=ip_network(network.subnet).prefixlen,
            gateway="" if network.internal else network.gateway,
            ip6=ip6,
            prefix6=ip_network(network.subnet6).prefixlen if ip6 else 0,
            gateway6="" if network.internal else network.gateway6,
            mac=membership.mac or _mac(ip),
            aliases=tuple(dict.fromkeys((self._joining.name, *membership.aliases, self._joining.id[:12]))),
            resolves=network.resolves,
            closed=network.internal and network.driver == BRIDGE,
            publishes=bool(ports),
        )
        return replace(chosen, document=json.dumps(_document(network, chosen, self._joining, ports)))

    def _addresses(self, network: NetworkConfig, membership: Membership) -> tuple[str, str]:
        there = [each for live in self._others for each in live.endpoints if each.network == network.id]
        taken = {network.gateway, network.gateway6, *(ip for each in there for ip in (each.ip, each.ip6))}
        if membership.ip6 and not network.subnet6:
            raise NetworkError(
                f"invalid endpoint settings: no configured subnet contains IP address {membership.ip6}",
                hint=f"the network {network.name} has no addresses of IPv6: network create --ipv6",
            )
        ip6 = free_address(network.pool6, taken, membership.ip6) if network.subnet6 else ""
        return free_address(network.pool, taken, membership.ip), ip6


def _mac(ip: str) -> str:
    """Return a MAC address derived from *ip*.

    A container that gets its IP address again has its MAC address again, so the ARP entries of its neighbours stay
    right. 02 marks an address that no manufacturer assigned.
    """
    return ":".join(f"{byte:02x}" for byte in (0x02, 0x42, *IPv4Address(ip).packed))


def _document(
    network: NetworkConfig, endpoint: Endpoint, joining: Joining, ports: Sequence[PublishedPort]
) -> dict[str, Any]:
    """Return the input of netavark. The only names of users in it are those that the name server answers for."""
    # As in Docker, containers on one bridge do not reach those on another.
    options = {"isolate": "true"} if network.driver == BRIDGE else {}
    for key, value in network.options:
        if key != "parent":
            # Docker calls it macvlan_mode or ipvlan_mode, netavark mode.
            options["mode" if key.endswith("_mode") else key] = value
    return {
        "container_id": joining.id,
        "container_name": joining.name,
        "port_mappings": mappings(ports, ipv6=bool(endpoint.ip6)),
        "dns_servers": list(joining.networking.dns) or None,
        "networks": {
            network.id: {
                "static_ips": [ip for ip in (endpoint.ip, endpoint.ip6) if ip],
                "interface_name": endpoint.interface,
                "static_mac": endpoint.mac,
                # netavark adds the name of the container: twice in the list, it would be twice in each answer.
                "aliases": [alias for alias in endpoint.aliases if alias != joining.name],
            }
        },
        "network_info": {
            network.id: {
                "name": network.id,
                "id": network.id,
                "driver": network.driver,
                "network_interface": network.interface,
                "subnets": [
                    {"subnet": pool.subnet, "gateway": pool.gateway}
                    for pool in (network.pool, network.pool6)
                    if pool.subnet
                ],
                "ipv6_enabled": bool(network.subnet6),
                "internal": network.internal,
                "dns_enabled": network.resolves,
                "options": options,
                "ipam_options": {"driver": "host-local"},
            }
        },
    }
