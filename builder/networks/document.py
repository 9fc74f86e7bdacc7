"""Networks, and what a container has of them, as documents in the shape of ``docker inspect``."""

from collections.abc import Iterable, Mapping
from typing import Any

from pybuild.builder.networks.ports import exposed
from pybuild.builder.networks.values import (
    BRIDGE,
    CONTAINER,
    HOST,
    NONE,
    Endpoint,
    Live,
    Membership,
    NetworkConfig,
    Networking,
    PublishedPort,
)
from pybuild.runtime.networks.namespaces import pin_path


def network_document(network: NetworkConfig, running: Iterable[tuple[str, Live]]) -> dict[str, Any]:
    """Return what ``docker network inspect`` tells of *network*; *running* are containers by name."""
    pairs = [(name, live, each) for name, live in running for each in live.endpoints if each.network == network.id]
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": network.created,
        "Scope": "local",
        "Driver": network.driver,
        "EnableIPv4": True,
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Options": {}, "Config": _pools(network)},
        "Internal": network.internal,
        "Attachable": network.attachable,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {live.container: _member(name, each) for name, live, each in pairs},
        "Options": dict(network.options),
        "Labels": dict(network.labels),
    }


def _pools(network: NetworkConfig) -> list[dict[str, str]]:
    if not network.subnet:
        return []
    pool = {"Subnet": network.subnet, "IPRange": network.ip_range, "Gateway": network.gateway}
    return [{key: value for key, value in pool.items() if value}]


def _member(name: str, endpoint: Endpoint) -> dict[str, str]:
    return {
        "Name": name,
        "EndpointID": endpoint.id,
        "MacAddress": endpoint.mac,
        "IPv4Address": f"{endpoint.ip}/{endpoint.prefix}",
        "IPv6Address": "",
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
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "IPAddress": first.ip if first else "",
        "IPPrefixLen": first.prefix if first else 0,
        "IPv6Gateway": "",
        "MacAddress": first.mac if first else "",
        "Networks": networks,
    }


def _networks(mode: str, attachments: Iterable[Membership], live: Live | None) -> dict[str, Any]:
    if mode in {HOST, NONE}:
        return {mode: _endpoint(Membership(network=mode), None)}
    if mode.startswith(CONTAINER):
        return {}
    there = {each.network: each for each in live.endpoints} if live else {}
    return {each.name or each.network: _endpoint(each, there.get(each.network)) for each in attachments}


def _endpoint(wanted: Membership, endpoint: Endpoint | None) -> dict[str, Any]:
    return {
        "IPAMConfig": {"IPv4Address": wanted.ip} if wanted.ip else None,
        "Links": [f"{name}:{alias}" for name, alias in wanted.links] or None,
        "Aliases": list(wanted.aliases) or None,
        "MacAddress": endpoint.mac if endpoint else wanted.mac,
        "DriverOpts": None,
        "GwPriority": 0,
        "NetworkID": endpoint.network if endpoint else "",
        "EndpointID": endpoint.id if endpoint else "",
        "Gateway": endpoint.gateway if endpoint else "",
        "IPAddress": endpoint.ip if endpoint else "",
        "IPPrefixLen": endpoint.prefix if endpoint else 0,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "DNSNames": list(endpoint.aliases) if endpoint and endpoint.resolves else None,
    }


def _published(live: Live | None, exposes: Iterable[str]) -> dict[str, Any]:
    found: dict[str, Any] = {each.name: None for each in exposed(exposes)}
    for each in live.ports if live else ():
        found[each.name] = [*(found.get(each.name) or ()), {"HostIp": _ip(each), "HostPort": str(each.host_port)}]
    return found


def _ip(port: PublishedPort) -> str:
    return port.host_ip or "0.0.0.0"  # noqa: S104 - as Docker shows it


def bindings_document(networking: Networking) -> dict[str, Any]:
    """Return the member ``PortBindings`` of a host config: what was asked for."""
    found: dict[str, list[Mapping[str, str]]] = {}
    for each in networking.ports:
        last = f"-{each.host_last}" if each.host_last > each.host_port else ""
        port = f"{each.host_port}{last}" if each.host_port else ""
        found.setdefault(each.name, []).append({"HostIp": each.host_ip, "HostPort": port})
    return found


def ports_text(live: Live | None, exposes: Iterable[str]) -> str:
    """Return the column PORTS of ``ps``: neighbours that lead to neighbours are one range."""
    published = live.ports if live else ()
    taken = {each.name for each in published}
    bound = sorted(published, key=lambda each: (each.host_ip, each.protocol, each.container_port, each.host_port))
    shown = [
        f"{_ip(group[0])}:{_span(group[0].host_port, group[-1].host_port)}->"
        f"{_span(group[0].container_port, group[-1].container_port)}/{group[0].protocol}"
        for group in _runs(bound)
    ]
    open_ones = sorted(
        (each for each in exposed(exposes) if each.name not in taken),
        key=lambda each: (each.protocol, each.container_port),
    )
    shown += [
        f"{_span(group[0].container_port, group[-1].container_port)}/{group[0].protocol}" for group in _runs(open_ones)
    ]
    return ", ".join(shown)


def _runs(ports: Iterable[PublishedPort]) -> list[list[PublishedPort]]:
    found: list[list[PublishedPort]] = []
    for each in ports:
        last = found[-1][-1] if found else None
        if last is not None and _follows(last, each):
            found[-1].append(each)
        else:
            found.append([each])
    return found


def _follows(last: PublishedPort, each: PublishedPort) -> bool:
    same = (last.protocol, last.host_ip, last.container_port + 1) == (each.protocol, each.host_ip, each.container_port)
    return same and (each.host_port == last.host_port + 1 or each.host_port == last.host_port == 0)


def _span(first: int, last: int) -> str:
    return f"{first}" if first == last else f"{first}-{last}"
