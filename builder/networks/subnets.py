"""Subnets and addresses: checking those that a user requests, and finding free ones."""

import ipaddress
from collections.abc import Collection, Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from itertools import chain

from pybuild.builder.errors import RequestError
from pybuild.builder.networks.errors import NetworkError
from pybuild.builder.networks.values import AddressPool
from pybuild.grammar.parse_go import parse_ip
from pybuild.runtime.values import replace

Subnet = IPv4Network | IPv6Network
_POOL = tuple(IPv4Network(f"10.{first}.0.0/16") for first in range(192, 232))
"""The range of automatic subnets. Neither dockerd nor podman assigns subnets in it by itself."""
_LENGTH = 24
_TRIES = 16
_EXAMPLE = {4: "10.1.2.0/24", 6: "fd00:1:2::/64"}


def checked(
    subnets: Sequence[str], gateways: Sequence[str], ip_ranges: Sequence[str], *, ipv6: bool
) -> tuple[AddressPool, AddressPool]:
    """Return the requested addresses of IPv4 and those of IPv6, in normal form; an empty pool for what is not given.

    Raises:
        RequestError: a subnet is invalid, there are two of one version, or a gateway or range is in none of them.
    """
    found: dict[int, Subnet] = {}
    for text in subnets:
        network = _network(text, "--subnet")
        if network.version == 6 and not ipv6:
            raise RequestError(f"--subnet {text} is one of IPv6, which this network does not have", hint="add --ipv6")
        if network.version in found:
            raise RequestError(
                "bridge driver doesn't support multiple subnets", hint="give one subnet of IPv4, and one of IPv6"
            )
        found[network.version] = network
    pools = {version: AddressPool(subnet=str(network), gateway=str(network[1])) for version, network in found.items()}
    for text in gateways:
        address = _address(text, "--gateway")
        if address not in found.get(address.version, ()):
            raise _no_subnet("gateway", text, found)
        pools[address.version] = replace(pools[address.version], gateway=str(address))
    for text in ip_ranges:
        ip_range = _network(text, "--ip-range")
        if not _is_within(ip_range, found.get(ip_range.version)):
            raise _no_subnet("range", text, found)
        pools[ip_range.version] = replace(pools[ip_range.version], ip_range=str(ip_range))
    return pools.get(4, AddressPool()), pools.get(6, AddressPool())


def _no_subnet(what: str, text: str, found: dict[int, Subnet]) -> RequestError:
    places = " or ".join(map(str, found.values()))
    hint = f"take one in {places}" if places else "give the subnet as well: --subnet"
    return RequestError(f"no matching subnet for {what} {text}", hint=hint)


def _is_within(inner: Subnet, outer: Subnet | None) -> bool:
    if isinstance(inner, IPv4Network):
        return isinstance(outer, IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, IPv6Network) and inner.subnet_of(outer)


def _network(text: str, flag: str) -> Subnet:
    try:
        found = ipaddress.ip_network(text.replace("%", "/"), strict=False)  # no zone, as `parse_ip`
    except ValueError as error:
        hint = f"write it as {_EXAMPLE[4]} or {_EXAMPLE[6]}"
        raise RequestError(f"{flag}: invalid CIDR address: {text}", hint=hint) from error
    if flag == "--subnet" and found.num_addresses < 4:
        wide = 30 if found.version == 4 else 126
        raise RequestError(f"subnet {text} has no room for a gateway and a container", hint=f"use /{wide} or wider")
    if found.version == 6 and not _is_unicast(found):
        raise RequestError(
            f"{flag} {text}: these addresses of IPv6 are not for networks", hint=f"take one as {_EXAMPLE[6]}"
        )
    return found


def _is_unicast(found: Subnet) -> bool:
    """Return whether interfaces can have the addresses, and routers pass them on (RFC 4291)."""
    first = found.network_address
    mapped = isinstance(first, IPv6Address) and first.ipv4_mapped is not None
    return not (first.is_multicast or first.is_link_local or first.is_loopback or first.is_unspecified or mapped)


def _address(text: str, flag: str) -> IPv4Address | IPv6Address:
    try:
        return parse_ip(text)
    except ValueError as error:
        raise RequestError(f"invalid {flag} {text!r}", hint="give an address") from error


def overlapping(subnet: str, taken: Iterable[Subnet]) -> Subnet | None:
    """Return the first of *taken* that shares addresses with *subnet*."""
    network = ipaddress.ip_network(subnet)
    # Those of different versions never do.
    return next((each for each in taken if each.overlaps(network)), None)


def free_subnet(start: int, taken: Collection[Subnet]) -> AddressPool:
    """Return a subnet of IPv4 that shares no address with *taken*. The search begins at the number *start*.

    Each store begins at another number, because it does not know networks of other stores that are not set up.
    """
    every = [subnet for pool in _POOL for subnet in pool.subnets(new_prefix=_LENGTH)]
    first = start % len(every)
    for subnet in chain(every[first:], every[:first]):
        if overlapping(str(subnet), taken) is None:
            return AddressPool(subnet=str(subnet), gateway=str(subnet[1]))
    raise NetworkError("all predefined address pools have been fully subnetted", hint="choose one with --subnet")


def free_subnet6(identity: str, taken: Collection[Subnet]) -> AddressPool:
    """Return a unique local subnet of IPv6 (RFC 4193) that shares no address with *taken*.

    Its 40 bits of chance are taken from *identity*, the hexadecimal digits of a random id.
    """
    for number in range(_TRIES):
        # fd, 40 bits of chance, 16 bits for the number of the subnet.
        first = int(f"fd{identity[:10]}{number:04x}", 16) << 64
        subnet = IPv6Network((first, 64))
        if overlapping(str(subnet), taken) is None:
            return AddressPool(subnet=str(subnet), gateway=str(subnet[1]))
    raise NetworkError("no subnet of IPv6 is free", hint="choose one with --subnet")


def free_address(pool: AddressPool, taken: Collection[str], wanted: str = "") -> str:
    """Return an address of *pool* that is not in *taken*; the *wanted* one if it is given.

    Raises:
        NetworkError: the wanted address is in use or not in the subnet, or no address is free.
    """
    network = ipaddress.ip_network(pool.subnet)
    if wanted:
        address = ipaddress.ip_address(wanted)
        if address not in network:
            raise NetworkError(
                f"invalid endpoint settings: no configured subnet contains IP address {wanted}",
                hint=f"take one in {pool.subnet}",
            )
        if wanted in taken or address in _reserved(network):
            raise NetworkError("Address already in use", hint=f"another container has {wanted}, or it is reserved")
        return wanted
    for address in _hosts(network, pool.ip_range):
        if str(address) not in taken:
            return str(address)
    raise NetworkError(f"no available IPv{network.version} addresses on this network's address pools: {pool.subnet}")


def _reserved(network: Subnet) -> set[IPv4Address | IPv6Address]:
    """Return the addresses of the network itself: of IPv6 that of its routers, as there is no broadcast."""
    return {network.network_address, *((network.broadcast_address,) if network.version == 4 else ())}


def _hosts(network: Subnet, ip_range: str) -> Iterator[IPv4Address | IPv6Address]:
    reserved = _reserved(network)
    for address in ipaddress.ip_network(ip_range) if ip_range else network:
        if address not in reserved:
            yield address
