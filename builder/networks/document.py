"""Networks, and the network settings of a container, as documents in the format of ``docker inspect``."""

from collections.abc import Iterable, Mapping
from typing import Any

from pybuild.builder.networks.ports import exposed
from pybuild.builder.networks.values import (
    BRIDGE,
    CONTAINER,
    HOST,
    NONE,
    PRIVATE,
    Endpoint,
    Live,
    Membership,
    NetworkConfig,
    Networking,
)
from pybuild.runtime.networks.namespaces import pin_path


def network_document(network: NetworkConfig, running: Iterable[tuple[str, Live]]) -> dict[str, Any]:
    """Return the document of *network* for ``network inspect``; *running* are the running containers by name."""
    pairs = [(name, live, each) for name, live in running for each in live.endpoints if each.network == network.id]
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": network.created,
        "Scope": "local",
        "Driver": network.driver,
        "EnableIPv4": True,
        "EnableIPv6": bool(network.subnet6),
        "IPAM": {"Driver": "default", "Options": {}, "Config": _pools(network)},
        "Internal": network.internal,
        "Attachable": network.attachable,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {live.container: _member(name, each) for name, live, each in pairs},
        "Options": dict(network.options),
        "Labels": dict(sorted(network.labels)),
    }


def _pools(network: NetworkConfig) -> list[dict[str, str]]:
    pools = (
        {"Subnet": pool.subnet, "IPRange": pool.ip_range, "Gateway": pool.gateway}
        for pool in (network.pool, network.pool6)
        if pool.subnet
    )
    return [{key: value for key, value in pool.items() if value} for pool in pools]


def _member(name: str, endpoint: Endpoint) -> dict[str, str]:
    return {
        "Name": name,
        "EndpointID": endpoint.id,
        "MacAddress": endpoint.mac,
        "IPv4Address": f"{endpoint.ip}/{endpoint.prefix}",
        "IPv6Address": f"{endpoint.ip6}/{endpoint.prefix6}" if endpoint.ip6 else "",
    }


def settings_document(
    mode: str, attachments: Iterable[Membership], live: Live | None, exposes: Iterable[str], *, runs: bool
) -> dict[str, Any]:
    """Return the member ``NetworkSettings`` of a container."""
    first = next((each for each in live.endpoints if each.name == BRIDGE), None) if live else None
    networks = _networks(mode, attachments, live)
    return {
        "Bridge": "",
        "SandboxID": live.container if live else "",
        "SandboxKey": str(pin_path(live.container)) if live else "",
        "Ports": _published(live, exposes) if runs else {},
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        "EndpointID": first.id if first else "",
        "Gateway": first.gateway if first else "",
        "GlobalIPv6Address": first.ip6 if first else "",
        "GlobalIPv6PrefixLen": first.prefix6 if first else 0,
        "IPAddress": first.ip if first else "",
        "IPPrefixLen": first.prefix if first else 0,
        "IPv6Gateway": first.gateway6 if first else "",
        "MacAddress": first.mac if first else "",
        "Networks": networks,
    }


def _networks(mode: str, attachments: Iterable[Membership], live: Live | None) -> dict[str, Any]:
    if mode in {HOST, NONE, PRIVATE}:
        return {mode: _endpoint(Membership(network=mode), None)}
    if mode.startswith(CONTAINER):
        return {}
    there = {each.network: each for each in live.endpoints} if live else {}
    return {each.name or each.network: _endpoint(each, there.get(each.network)) for each in attachments}


def _endpoint(wanted: Membership, endpoint: Endpoint | None) -> dict[str, Any]:
    fixed = {"IPv4Address": wanted.ip, "IPv6Address": wanted.ip6}
    return {
        "IPAMConfig": {key: ip for key, ip in fixed.items() if ip} or None,
        "Links": None,
        "Aliases": list(wanted.aliases) or None,
        "MacAddress": endpoint.mac if endpoint else wanted.mac,
        "DriverOpts": None,
        "GwPriority": 0,
        "NetworkID": endpoint.network if endpoint else "",
        "EndpointID": endpoint.id if endpoint else "",
        "Gateway": endpoint.gateway if endpoint else "",
        "IPAddress": endpoint.ip if endpoint else "",
        "IPPrefixLen": endpoint.prefix if endpoint else 0,
        "IPv6Gateway": endpoint.gateway6 if endpoint else "",
        "GlobalIPv6Address": endpoint.ip6 if endpoint else "",
        "GlobalIPv6PrefixLen": endpoint.prefix6 if endpoint else 0,
        "DNSNames": list(endpoint.aliases) if endpoint and endpoint.resolves else None,
    }


def _published(live: Live | None, exposes: Iterable[str]) -> dict[str, Any]:
    found: dict[str, Any] = {each.name: None for each in exposed(exposes)}
    for each in live.ports if live else ():
        found[each.name] = [*(found.get(each.name) or ()), {"HostIp": each.address, "HostPort": str(each.host_port)}]
    return found


def bindings_document(networking: Networking) -> dict[str, Any]:
    """Return the member ``PortBindings`` of a host config: the requested ports, not the chosen ones."""
    found: dict[str, list[Mapping[str, str]]] = {}
    for each in networking.ports:
        last = f"-{each.host_last}" if each.host_last > each.host_port else ""
        port = f"{each.host_port}{last}" if each.host_port else ""
        found.setdefault(each.name, []).append({"HostIp": each.host_ip, "HostPort": port})
    return found


def ports_text(live: Live | None, exposes: Iterable[str]) -> str:
    """Return the column PORTS of ``ps`` in Docker's order.

    Ports that are not published, or at the same number of the host, come first; consecutive ones are shown as a range.
    """
    published = live.ports if live else ()
    taken = {each.name for each in published}
    closed = [each for each in exposed(exposes) if each.name not in taken]
    groups: dict[tuple[str, str], range] = {}
    shown: list[str] = []
    elsewhere: list[str] = []
    for each in sorted((*published, *closed), key=lambda port: (port.container_port, port.host_ip, port.host_port)):
        inside = each.container_port
        ip = each.place.rpartition(":")[0] if each.host_port else ""
        if each.host_port not in {0, inside}:
            elsewhere.append(f"{ip}:{each.host_port}->{inside}/{each.protocol}")
            continue
        group = groups.get((ip, each.protocol))
        if group is not None and inside == group.stop:
            groups[ip, each.protocol] = range(group.start, inside + 1)
            continue
        if group is not None:
            shown.append(_group(ip, each.protocol, group))
        groups[ip, each.protocol] = range(inside, inside + 1)
    return ", ".join((*shown, *(_group(*key, group) for key, group in groups.items()), *elsewhere))


def _group(ip: str, protocol: str, numbers: range) -> str:
    span = f"{numbers.start}" if len(numbers) == 1 else f"{numbers.start}-{numbers.stop - 1}"
    return f"{ip}:{span}->{span}/{protocol}" if ip else f"{span}/{protocol}"
