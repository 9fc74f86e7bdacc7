"""Published ports: parsing ``-p`` and ``--expose``, and choosing free ports of the host."""

import re
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from pybuild.builder.errors import RequestError
from pybuild.builder.networks.errors import NetworkError
from pybuild.builder.networks.values import PublishedPort
from pybuild.grammar.parse_go import parse_ip
from pybuild.runtime.values import replace

_SCTP = "sctp"
PROTOCOLS = ("tcp", "udp", _SCTP)
IPV4_ANY, IPV6_ANY = "0.0.0.0", "::"  # noqa: S104 - what a user may write
"""All addresses of the host, of one version of IP."""
_LOOPBACK = "::1"
_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", re.ASCII)
_MOST, _TRIES = 65535, 100


def parse_publish(text: str) -> tuple[PublishedPort, ...]:
    """Return what ``[[IP:][HOSTPORT]:]PORT[/PROTOCOL]`` publishes; ports may be ranges. Raises RequestError."""
    words, slash, protocol = text.partition("/")
    address, host, inside = _split(words)
    protocol = protocol.lower() if slash else PROTOCOLS[0]
    if protocol not in PROTOCOLS:
        raise RequestError(f"Invalid proto: {protocol}", hint=f"use one of {', '.join(PROTOCOLS)}")
    first, last = _range(inside, "containerPort", text)
    low, high = _range(host, "hostPort", text) if host else (0, 0)
    if host and high - low != last - first and first != last:
        raise RequestError(f"Invalid ranges specified for container and host Ports: {inside} and {host}")
    found = []
    for number in range(first, last + 1):
        each = PublishedPort(container_port=number, protocol=protocol, host_ip=address)
        if host and first == last:
            each = replace(each, host_port=low, host_last=high)
        elif host:
            each = replace(each, host_port=low + number - first, host_last=low + number - first)
        found.append(each)
    return tuple(found)


def _split(words: str) -> tuple[str, str, str]:
    address, bracket, rest = words.removeprefix("[").rpartition("]") if words.startswith("[") else ("", "", words)
    if bracket and (not rest.startswith(":") or rest.count(":") != 2):
        raise RequestError(f"Invalid ip address [{address}]{rest}", hint="write it as [IP]:HOSTPORT:PORT")
    parts = [address, *rest[1:].split(":")] if bracket else words.split(":")
    if len(parts) > 3 or not parts[-1]:
        hint = "write it as [[IP:]HOSTPORT:]PORT[/PROTOCOL], with brackets around an address of IPv6"
        raise RequestError(f"Invalid containerPort: {parts[-1]}", hint=hint)
    inside, host = parts[-1], parts[-2] if len(parts) > 1 else ""
    host = host if host.strip("0") else ""  # port 0 is any free one
    return _address(parts[0]) if len(parts) == 3 else "", host, inside


def _address(text: str) -> str:
    """Return an address of the host as it is usually written, "" for none."""
    try:
        return str(parse_ip(text)) if text else ""
    except ValueError as error:
        raise RequestError(f"Invalid ip address: {text}", hint="give an address of the host") from error


def _range(text: str, what: str, whole: str) -> tuple[int, int]:
    found = _RANGE.fullmatch(text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 0 < first <= last <= _MOST:
        raise RequestError(f"Invalid {what}: {text}", hint=f"in {whole}: write a port, or two with a dash between")
    return first, last


def parse_exposed(text: str) -> tuple[str, ...]:
    """Return what ``PORT[-PORT][/PROTOCOL]`` of ``--expose`` and of an image exposes. Raises RequestError."""
    ports, _, protocol = text.partition("/")
    first, last = _range(ports, "port", text)
    if (protocol or PROTOCOLS[0]).lower() not in PROTOCOLS:
        raise RequestError(f"Invalid proto: {protocol}", hint=f"use one of {', '.join(PROTOCOLS)}")
    return tuple(f"{number}/{(protocol or PROTOCOLS[0]).lower()}" for number in range(first, last + 1))


def exposed(names: Iterable[str]) -> tuple[PublishedPort, ...]:
    """Return the ports that ``-P`` publishes: all exposed ones, each at any free port of the host."""
    found = []
    for name in dict.fromkeys(port for each in names for port in _exposed_by_image(each)):
        number, _, protocol = name.partition("/")
        found.append(PublishedPort(container_port=int(number), protocol=protocol))
    return tuple(found)


def _exposed_by_image(text: str) -> tuple[str, ...]:
    with suppress(RequestError):
        return parse_exposed(text)
    return ()


def allocated(
    wanted: Iterable[PublishedPort], taken: Iterable[PublishedPort], *, ipv6: bool = False
) -> tuple[PublishedPort, ...]:
    """Return *wanted* with a port of the host chosen for each. *taken* are the ports of other containers.

    With *ipv6* a port for all addresses of the host is two: one at those of IPv4, and one at those of IPv6. One of SCTP
    is only the first, because the process that forwards from addresses of IPv6 does not know SCTP (`forwarder`).

    Raises:
        NetworkError: a port is in use.
    """
    used = {(each.protocol, each.host_port, each.host_ip) for each in taken}
    found: list[PublishedPort] = []
    for each in wanted:
        places = (IPV4_ANY, IPV6_ANY) if ipv6 and not each.host_ip and each.protocol != _SCTP else (each.host_ip,)
        for chosen in _chosen([replace(each, host_ip="" if place == IPV4_ANY else place) for place in places], used):
            used.add((chosen.protocol, chosen.host_port, chosen.host_ip))
            found.append(chosen)
    return tuple(found)


def _chosen(places: Sequence[PublishedPort], used: set[tuple[str, int, str]]) -> list[PublishedPort]:
    """Return *places*, which are one port at several addresses, with a port of the host that is free at all of them."""
    for number in _candidates(places[0]):
        if all(_is_free(number, each, used) for each in places):
            return [replace(each, host_port=number, host_last=number) for each in places]
    raise NetworkError(
        f"Bind for {places[0].place} failed: port is already allocated",
        hint="another container or program has the port",
    )


def _candidates(port: PublishedPort) -> Iterator[int]:
    if port.host_port:
        yield from range(port.host_port, port.host_last + 1)
        return
    for _ in range(_TRIES):
        with _socket(port) as one:
            try:
                one.bind((port.host_ip, 0))
            except OSError as error:
                reason = (error.strerror or "refused").lower()
                raise NetworkError(f"Bind for {port.place} failed: {reason}", hint="is it one of the host?") from error
            number = one.getsockname()[1]
        yield number


def _socket(port: PublishedPort) -> socket.socket:
    kind = socket.SOCK_DGRAM if port.protocol == "udp" else socket.SOCK_STREAM
    made = socket.socket(socket.AF_INET6 if port.is_ipv6 else socket.AF_INET, kind)
    if port.is_ipv6:
        # Otherwise it would use the port of the IPv4 addresses as well.
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return made


def _is_free(number: int, port: PublishedPort, used: set[tuple[str, int, str]]) -> bool:
    """Return whether neither a container nor a program of the host uses the port."""
    if any((protocol, other) == (port.protocol, number) and _meet(ip, port.host_ip) for protocol, other, ip in used):
        return False
    try:
        with _socket(port) as one:
            if one.type == socket.SOCK_STREAM:
                # With it connections in TIME_WAIT do not count as use of the port, and a listening program does.
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind((port.host_ip, number))
    except OSError:  # it is in use, or not permitted
        return False
    return True


def _meet(one: str, other: str) -> bool:
    """Return whether a port at the address *one* of the host is also a port at *other*."""
    if (":" in one) is not (":" in other):
        return False
    return one == other or not {"", IPV4_ANY, IPV6_ANY}.isdisjoint({one, other})


def mappings(ports: Iterable[PublishedPort], *, ipv6: bool = False) -> list[dict[str, object]]:
    """Return *ports* in the format of netavark, with consecutive ports as one range.

    With *ipv6* the container has an address of IPv6. netavark takes a port without an address for one of all addresses
    of both versions (see `rules.narrow`). It knows no way to those of IPv6 alone, and the kernel none from its loopback
    address: these are forwarded by a process (`forwarder`).
    """
    found: list[dict[str, object]] = []
    last: PublishedPort | None = None
    given = tuple(ports)
    both = {_number(each) for each in given if each.host_ip == IPV6_ANY}
    chosen = [each for each in given if not each.is_ipv6 or (ipv6 and each.host_ip not in {IPV6_ANY, _LOOPBACK})]
    for each in sorted(chosen, key=lambda port: (port.protocol, port.host_ip, port.host_port)):
        if last is not None and _follows(each, last) and (_number(each) in both) is (_number(last) in both):
            found[-1]["range"] = int(str(found[-1]["range"])) + 1
        else:
            found.append(
                {
                    "container_port": each.container_port,
                    "host_ip": each.host_ip,
                    "host_port": each.host_port,
                    "protocol": each.protocol,
                    "range": 1,
                }
            )
        last = each
    return found


def _number(port: PublishedPort) -> tuple[str, int]:
    return port.protocol, port.host_port


def _follows(port: PublishedPort, other: PublishedPort) -> bool:
    """Return whether *port* can be in one range with *other*, as the next one."""
    steps = port.host_port - other.host_port, port.container_port - other.container_port
    return (port.protocol, port.host_ip, *steps) == (other.protocol, other.host_ip, 1, 1)


def shown(ports: Iterable[PublishedPort]) -> list[str]:
    """Return the address and port of the host for each published port, as ``ps`` and ``port`` show them."""
    return [each.place for each in ports]
