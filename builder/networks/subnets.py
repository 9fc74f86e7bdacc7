"""Subnets and addresses: checking those that a user requests, and finding free ones."""

import ipaddress
from collections.abc import Collection, Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network
from itertools import chain

from pybuild.builder.errors import RequestError
from pybuild.builder.networks.errors import NetworkError

_POOL = tuple(IPv4Network(f"10.{first}.0.0/16") for first in range(192, 232))
"""The range of automatic subnets. Neither dockerd nor podman assigns subnets in it by itself."""
_LENGTH = 24


def checked(subnet: str, gateway: str, ip_range: str) -> tuple[str, str, str]:
    """Return the subnet, gateway and address range in normal form; "" for what is not given.

    Raises:
        RequestError: the subnet is invalid, or the gateway or the range is not in it.
    """
    if not subnet:
        if gateway or ip_range:
            raise RequestError("--gateway and --ip-range need --subnet", hint="give the subnet as well")
        return "", "", ""
    network = _network(subnet, "--subnet")
    if network.num_addresses < 4:
        raise RequestError(f"subnet {subnet} has no room for a gateway and a container", hint="use /30 or wider")
    chosen = _address(gateway, "--gateway") if gateway else network[1]
    if chosen not in network:
        raise RequestError(f"no matching subnet for gateway {gateway}", hint=f"take one in {network}")
    if ip_range and not _network(ip_range, "--ip-range").subnet_of(network):
        raise RequestError(f"no matching subnet for range {ip_range}", hint=f"take one in {network}")
    return str(network), str(chosen), str(_network(ip_range, "--ip-range")) if ip_range else ""


def _network(text: str, flag: str) -> IPv4Network:
    try:
        found = ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise RequestError(f"{flag}: invalid CIDR address: {text}", hint="write it as 10.1.2.0/24") from error
    if not isinstance(found, IPv4Network):
        raise RequestError(f"{flag} {text}: networks have IPv4 addresses only", hint="give an IPv4 subnet")
    return found


def _address(text: str, flag: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except ValueError as error:
        raise RequestError(f"invalid {flag} {text!r}", hint="give an IPv4 address") from error


def overlapping(subnet: str, taken: Iterable[IPv4Network]) -> IPv4Network | None:
    """Return the first of *taken* that shares addresses with *subnet*."""
    network = IPv4Network(subnet)
    return next((each for each in taken if each.overlaps(network)), None)


def free_subnet(start: int, taken: Collection[IPv4Network]) -> tuple[str, str]:
    """Return a subnet that shares no address with *taken*, and its gateway. The search begins at the number *start*.

    Each store begins at another number, because it does not know networks of other stores that are not set up.
    """
    every = [subnet for pool in _POOL for subnet in pool.subnets(new_prefix=_LENGTH)]
    first = start % len(every)
    for subnet in chain(every[first:], every[:first]):
        if overlapping(str(subnet), taken) is None:
            return str(subnet), str(subnet[1])
    raise NetworkError("all predefined address pools have been fully subnetted", hint="choose one with --subnet")


def free_address(subnet: str, ip_range: str, taken: Collection[str], wanted: str = "") -> str:
    """Return an address of *subnet* that is not in *taken*; the *wanted* one if it is given.

    Raises:
        NetworkError: the wanted address is in use or not in the subnet, or no address is free.
    """
    network = IPv4Network(subnet)
    if wanted:
        address = _address(wanted, "--ip")
        if address not in network:
            raise NetworkError(
                f"invalid endpoint settings: no configured subnet contains IP address {wanted}",
                hint=f"take one in {subnet}",
            )
        if wanted in taken or address in {network.network_address, network.broadcast_address}:
            raise NetworkError("Address already in use", hint=f"another container has {wanted}, or it is reserved")
        return wanted
    for address in _hosts(network, ip_range):
        if str(address) not in taken:
            return str(address)
    raise NetworkError(f"no available IPv4 addresses on this network's address pools: {subnet}")


def _hosts(network: IPv4Network, ip_range: str) -> Iterator[IPv4Address]:
    for address in IPv4Network(ip_range) if ip_range else network:
        if address not in {network.network_address, network.broadcast_address}:
            yield address
