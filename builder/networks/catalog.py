"""The networks of a store.

    <root>/networks/<id>.json    the configuration of a network
                    lock         held while networks are created or removed, and while addresses and ports are assigned

`host` and `none` always exist and have no file. The default network, `bridge`, is created when it is first used.
"""

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from hashlib import sha256
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from pybuild.builder.errors import RequestError, StoreError
from pybuild.builder.networks.errors import NetworkError, NoSuchNetwork
from pybuild.builder.networks.etc_files import name_servers
from pybuild.builder.networks.membership import all_live, plain
from pybuild.builder.networks.subnets import Subnet, free_subnet, free_subnet6, overlapping
from pybuild.builder.networks.values import BRIDGE, DRIVERS, HOST, NONE, PRIVATE, Endpoint, Live, NetworkConfig
from pybuild.builder.store.free_space import storing
from pybuild.runtime.monitor.events import append
from pybuild.runtime.monitor.state import timestamp
from pybuild.runtime.networks.links import exists, routes, routes6
from pybuild.runtime.paths.filelock import exclusive
from pybuild.runtime.paths.replacing import replace_file
from pybuild.runtime.sandbox.hostfiles import host_resolvers
from pybuild.runtime.values import fields, replace

_VALID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", re.ASCII)
# Go's zero time, as Docker shows a time that is not known.
_NEVER = "0001-01-01T00:00:00Z"
PREDEFINED = (BRIDGE, HOST, NONE)


class Networks:
    """All networks of the store at *root*."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.directory = root / "networks"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of the networks of this store while the block runs."""
        with ExitStack() as stack:
            with storing(self.root):
                self.directory.mkdir(mode=0o700, exist_ok=True)
                stack.enter_context(exclusive(self.directory / "lock"))
            yield

    def create(self, wanted: NetworkConfig, *, ipv6: bool = False) -> NetworkConfig:
        """Create a network like *wanted*, with a new id, and with a free subnet when it has none; return it.

        With *ipv6* it has one of IPv6, too.

        Raises:
            RequestError: the name is not valid.
            NetworkError: the name is reserved, or the name or the subnet is in use.
        """
        if not _VALID.fullmatch(wanted.name) or len(wanted.name) > 255:
            raise RequestError(
                f"invalid network name {wanted.name!r}: only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
                hint="begin with a letter or a digit",
            )
        if wanted.name in {*PREDEFINED, PRIVATE}:
            raise NetworkError(f"operation is not permitted on predefined {wanted.name} network ")
        with self.locked():
            if any(each.name == wanted.name for each in self.made()):
                raise NetworkError(f"network with name {wanted.name} already exists")
            network = replace(wanted, id=os.urandom(32).hex(), created=timestamp(time.time_ns()))
            if ipv6 and not network.subnet6:
                pool = free_subnet6(network.id, self._taken())
                network = replace(network, subnet6=pool.subnet, gateway6=pool.gateway)
            return self._add(network)

    def _add(self, network: NetworkConfig) -> NetworkConfig:
        taken = self._taken()
        # macvlan and ipvlan join the network of an interface of the host, so they overlap with its routes on purpose.
        for subnet in filter(None, (network.subnet, network.subnet6)) if network.driver == BRIDGE else ():
            if (other := overlapping(subnet, taken)) is not None:
                raise NetworkError(
                    f"invalid pool request: Pool overlaps with other one on this address space: {other}",
                    hint="an interface of the host, or another network, has these addresses",
                )
        if not network.subnet:
            pool = free_subnet(int(network.id[:6], 16), taken)
            network = replace(network, subnet=pool.subnet, gateway=pool.gateway)
        with storing(self.root):
            replace_file(self.directory / f"{network.id}.json", json.dumps(plain(network)))
        _log(self.root, "create", network.id, name=network.name, type=network.driver)
        return network

    def _taken(self, ignored: str = "") -> list[Subnet]:
        """Return the subnets in use: those of networks, of the host's interfaces, and the host's name servers.

        The network with the id *ignored*, and its bridge, do not count.
        """
        made = self.made()
        own = [subnet for each in made if each.id != ignored for subnet in _subnets(each)]
        bridges = {each.interface for each in made if each.id == ignored}
        there = [network for network, interface in _routes() if interface not in bridges]
        return [*own, *there, *_resolvers()]

    def default(self) -> NetworkConfig:
        """Return the default network, created if it is missing.

        When another interface of the host has its subnet by now, such as that of a VPN, it gets a new one, unless
        it is set up or containers are connected to it. The caller holds `locked`.
        """
        found = next((each for each in self.made() if each.name == BRIDGE), None)
        if found is None:
            made = timestamp(time.time_ns())
            return self._add(NetworkConfig(id=os.urandom(32).hex(), name=BRIDGE, created=made))
        if exists(found.interface) or overlapping(found.subnet, self._taken(found.id)) is None:
            return found
        if self.users(found.id):
            return found
        return self._add(replace(found, subnet="", gateway=""))

    def check_free(self, network: NetworkConfig) -> None:
        """Raise NetworkError when *network* is not set up yet and an interface of the host has its addresses."""
        if network.driver != BRIDGE or exists(network.interface):
            return
        for subnet in _subnets(network):
            for other, interface in _routes():
                if overlapping(str(subnet), (other,)) is not None:
                    raise NetworkError(
                        f"network {network.name} cannot be used: its subnet {subnet} overlaps with {other} of"
                        f" the interface {interface}",
                        hint="remove the network and make it again, with another --subnet",
                    )

    def made(self) -> list[NetworkConfig]:
        """Return the networks that have a file, the oldest first. A file that cannot be read is left out."""
        found = []
        with suppress(FileNotFoundError):
            for path in self.directory.glob("*.json"):
                # Removed meanwhile, or damaged by hand: one file must not make all networks unusable.
                with suppress(OSError, ValueError, TypeError, AttributeError, LookupError):
                    found.append(_network(json.loads(path.read_text(encoding="utf-8"))))
        return sorted(found, key=lambda each: (each.created, each.id))

    def all(self) -> list[NetworkConfig]:
        """Return all networks, sorted by name. A store that cannot be written may lack the default one."""
        with suppress(StoreError), self.locked():
            self.default()
        return sorted((*self.made(), *map(_without_file, (HOST, NONE))), key=lambda each: (each.name, each.id))

    def find(self, text: str) -> NetworkConfig:
        """Return the network with the name or id *text*, or with an id that begins so. Raises NoSuchNetwork."""
        if text == BRIDGE:
            try:
                with self.locked():
                    return self.default()
            except StoreError:
                # The disk is full or read-only, which does not matter to those who only look at it.
                if all(each.name != BRIDGE for each in self.made()):
                    raise
        everything = (*self.made(), *map(_without_file, (HOST, NONE)))
        for test in (lambda each: text in {each.name, each.id}, lambda each: bool(text) and each.id.startswith(text)):
            found = [each for each in everything if test(each)]
            if len(found) > 1:
                raise NoSuchNetwork(f"network {text} is ambiguous ({len(found)} matches found on name)")
            if found:
                return found[0]
        raise NoSuchNetwork(f"network {text} not found")

    def users(self, identity: str) -> list[str]:
        """Return the ids of the running containers that are connected to the network with this id."""
        return [
            live.container for live in all_live(self.root) if any(each.network == identity for each in live.endpoints)
        ]

    def remove(self, network: NetworkConfig) -> None:
        """Remove a network. Raises NetworkError when it is predefined, or running containers are connected to it."""
        if network.name in PREDEFINED:
            raise NetworkError(f"{network.name} is a pre-defined network and cannot be removed")
        with self.locked():
            used = self.users(network.id)
            if used:
                raise NetworkError(
                    f"error while removing network: network {network.name} id {network.id} has active endpoints",
                    hint=f"disconnect or stop {', '.join(each[:12] for each in used)}",
                )
            (self.directory / f"{network.id}.json").unlink(missing_ok=True)
            _log(self.root, "destroy", network.id, name=network.name, type=network.driver)

    def prune(self, passes: Callable[[NetworkConfig], bool]) -> list[str]:
        """Remove the networks for which *passes* is true and that no running container uses; return their names."""
        gone = []
        for each in self.made():
            if each.name not in PREDEFINED and passes(each):
                with suppress(NetworkError):  # in use
                    self.remove(each)
                    gone.append(each.name)
        return gone


def _network(members: dict[str, Any]) -> NetworkConfig:
    known = {each.name for each in fields(NetworkConfig)}
    pairs = {name: tuple(map(tuple, members[name])) for name in ("labels", "options")}
    return NetworkConfig(**{name: member for name, member in {**members, **pairs}.items() if name in known})


def _without_file(name: str) -> NetworkConfig:
    driver = name if name == HOST else "null"
    return NetworkConfig(
        id=sha256(f"pybuild network {name}".encode()).hexdigest(), name=name, created=_NEVER, driver=driver
    )


def _subnets(network: NetworkConfig) -> list[Subnet]:
    return [ip_network(each) for each in (network.subnet, network.subnet6) if each]


def _routes() -> list[tuple[Subnet, str]]:
    return [*routes(), *routes6()]


def _resolvers() -> Iterator[Subnet]:
    for address in name_servers(host_resolvers().decode(errors="replace")):
        with suppress(ValueError):
            yield ip_network(address.partition("%")[0])


def log_endpoint(root: Path, action: str, live: Live, endpoint: Endpoint) -> None:
    """Write to the log of events that a container joined (``connect``) or left (``disconnect``) a network."""
    # The network itself may be gone by now; the document by which it was set up is not.
    driver = json.loads(endpoint.document)["network_info"][endpoint.network]["driver"]
    _log(root, action, endpoint.network, container=live.container, name=endpoint.name, type=driver)


def _log(root: Path, action: str, identity: str, **attributes: str) -> None:
    append(os.fsencode(root), "network", action, identity, attributes, time.time_ns())


def check_driver(name: str) -> str:
    """Return *name*, which must be the driver of a network. Raises NetworkError for another name."""
    if name not in DRIVERS:
        raise NetworkError(
            f'error looking up network plugin {name}: plugin "{name}" not found', hint=f"use {', '.join(DRIVERS)}"
        )
    return name
