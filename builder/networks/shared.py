"""The network in which the containers of a user have their bridges: working inside of it, and its published ports.

Root needs none: bridges are in the network of the host.
"""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from pybuild.builder.networks.errors import NetworkError
from pybuild.builder.networks.values import BRIDGE, Endpoint, Live, NetworkConfig, PublishedPort
from pybuild.runtime.errors import RuntimeHostError
from pybuild.runtime.private_networks.private import may_listen
from pybuild.runtime.shared_networks.client import NetworkEnded, Use, call_inside, in_use, network_of, user_namespace

_T = TypeVar("_T")


def directory_of(root: Path) -> Path:
    """Return the directory of the files of the shared network of the store at *root*, made if it is missing."""
    directory = root / "networks" / "shared"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory


def call_at(root: Path, holder: str, function: Callable[..., _T], *arguments: Any) -> _T:
    """Return the result of *function*, called where the bridges are: here, or in the shared network of *holder*.

    In another process *function* must be one of a module's top level.

    Raises:
        NetworkEnded: there is no such network any more.
    """
    if not holder:
        return function(*arguments)
    from pybuild.runtime.sandbox.joining import OWN, identity
    from pybuild.runtime.worker.client import call

    namespace = user_namespace(directory_of(root))
    if namespace < 0:
        raise NetworkEnded
    if identity(namespace) == identity(OWN):
        return _call(_ignore, root, holder, function, arguments)
    found: _T = call(_call, root, holder, function, arguments, listener=_ignore, namespace=namespace)
    return found


def _call(
    _tell: Callable[[Any], None], root: Path, holder: str, function: Callable[..., _T], arguments: tuple[Any, ...]
) -> _T:
    with in_use(directory_of(root), start=False) as use:
        if use is None or use.holder.name != holder:
            raise NetworkEnded
        found: _T = call_inside(use, function, *arguments)
        return found


def check_rootless(networks: Iterable[NetworkConfig], ports: Iterable[PublishedPort]) -> None:
    """Raise NetworkError for a network, or a port of the host, that only root can have."""
    for network in networks:
        if network.driver != BRIDGE:
            raise NetworkError(
                f"network {network.name} needs root: {network.driver} joins an interface of the host",
                hint="without root there are bridges",
            )
    check_listening(ports, "a network without root")


def check_listening(ports: Iterable[PublishedPort], network: str) -> None:
    """Raise NetworkError for a port of the host at which this user may not listen. *network* is a word for messages."""
    for each in ports:
        if each.host_port and not may_listen(each.host_port):
            raise NetworkError(
                f"{network} cannot publish a port at {each.host_port} of the host, which is for root",
                hint=f"take a higher one, or as root: sysctl net.ipv4.ip_unprivileged_port_start={each.host_port}",
            )


def _ignore(_event: Any) -> None:
    pass


def forward_ports(use: Use, live: Live) -> int:
    """Forward the published ports of *live* until the last copy of the returned descriptor is closed; -1 without ports.

    Raises:
        NetworkError: one cannot be published.
    """
    if not live.ports:
        return -1
    with network_of(use) as space:
        return _forward(space, (use.users,), live, live.ports)


def forward_ports6(live: Live) -> int:
    """Forward as `forward_ports`, on the network of this host, the ports that are published at addresses of IPv6.

    The kernel has no way from its own ``::1`` to another interface, and none from IPv6 to IPv4.
    """
    ports = [each for each in live.ports if each.is_ipv6]
    if not ports:
        return -1
    space = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return _forward(space, (), live, ports)
    finally:
        os.close(space)


def _forward(space: int, kept: tuple[int, ...], live: Live, ports: Iterable[PublishedPort]) -> int:
    from pybuild.runtime.shared_networks.forwarder_client import Forwarded, forward

    inner = next(each for each in live.endpoints if is_publisher(each))
    wanted = [
        Forwarded(
            protocol=each.protocol,
            host_ip=each.host_ip,
            host_port=each.host_port,
            ip=(each.is_ipv6 and inner.ip6) or inner.ip,
            port=each.container_port,
        )
        for each in ports
    ]
    try:
        return forward(space, kept, wanted)
    except RuntimeHostError as error:
        raise NetworkError(str(error)) from error


def is_publisher(endpoint: Endpoint) -> bool:
    """Return whether published ports lead to the container by this connection."""
    # An earlier version, which may have started the container, did not record it apart.
    return endpoint.publishes or bool(json.loads(endpoint.document)["port_mappings"])
