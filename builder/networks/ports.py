"""Published ports: parsing ``-p`` and ``--expose``, and choosing free ports of the host."""

import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from ipaddress import IPv4Address

from pybuild.builder.errors import RequestError
from pybuild.builder.networks.errors import NetworkError
from pybuild.builder.networks.values import PublishedPort
from pybuild.runtime.values import replace

PROTOCOLS = ("tcp", "udp", "sctp")
_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", re.ASCII)
_MOST, _TRIES = 65535, 100


def parse_publish(text: str) -> tuple[PublishedPort, ...]:
    """Return what ``[[IP:][HOSTPORT]:]PORT[/PROTOCOL]`` publishes; ports may be ranges. Raises RequestError."""
    words, slash, protocol = text.partition("/")
    address, host, inside = _split(words, text)
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


def _split(words: str, text: str) -> tuple[str, str, str]:
    if words.startswith("["):
        address = words[1:].partition("]")[0]
        raise RequestError(f"-p {text}: {address} is no IPv4 address", hint="published ports have IPv4 addresses only")
    parts = words.split(":")
    if len(parts) > 3 or not parts[-1]:
        raise RequestError(f"Invalid containerPort: {parts[-1]}", hint="write it as [[IP:]HOSTPORT:]PORT[/PROTOCOL]")
    inside, host = parts[-1], parts[-2] if len(parts) > 1 else ""
    address = parts[0] if len(parts) == 3 else ""
    if address:
        try:
            address = str(IPv4Address(address))
        except ValueError as error:
            raise RequestError(f"Invalid ip address: {address}", hint="give an IPv4 address of the host") from error
    return ("" if address == "0.0.0.0" else address), host, inside  # noqa: S104 - what a user may write


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


def allocated(wanted: Iterable[PublishedPort], taken: Iterable[PublishedPort]) -> tuple[PublishedPort, ...]:
    """Return *wanted* with a port of the host chosen for each. *taken* are the ports of other containers.

    Raises:
        NetworkError: a port is in use.
    """
    used = {(each.protocol, each.host_port, each.host_ip) for each in taken}
    found = []
    for each in wanted:
        chosen = _chosen(each, used)
        used.add((chosen.protocol, chosen.host_port, chosen.host_ip))
        found.append(chosen)
    return tuple(found)


def _chosen(port: PublishedPort, used: set[tuple[str, int, str]]) -> PublishedPort:
    for number in _candidates(port):
        if _is_free(number, port, used):
            return replace(port, host_port=number, host_last=number)
    raise NetworkError(
        f"Bind for {port.address}:{port.host_port} failed: port is already allocated",
        hint="another container or program has the port",
    )


def _candidates(port: PublishedPort) -> Iterator[int]:
    if port.host_port:
        yield from range(port.host_port, port.host_last + 1)
        return
    for _ in range(_TRIES):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if port.protocol == "udp" else socket.SOCK_STREAM) as one:
            one.bind((port.host_ip, 0))
            number = one.getsockname()[1]
        yield number


def _is_free(number: int, port: PublishedPort, used: set[tuple[str, int, str]]) -> bool:
    """Return whether neither a container nor a program of the host uses the port."""
    for protocol, other, address in used:
        if (protocol, other) == (port.protocol, number) and (
            not address or not port.host_ip or address == port.host_ip
        ):
            return False
    kind = socket.SOCK_DGRAM if port.protocol == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as one:
        if kind == socket.SOCK_STREAM:
            # With this option connections in TIME_WAIT do not count as use of the port, and a listening program does.
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((port.host_ip, number))
        except OSError:  # it is in use, or not permitted
            return False
    return True


def mappings(ports: Iterable[PublishedPort]) -> list[dict[str, object]]:
    """Return *ports* in the format of netavark, with consecutive ports as one range."""
    found: list[dict[str, object]] = []
    last: PublishedPort | None = None
    for each in sorted(ports, key=lambda port: (port.protocol, port.host_ip, port.host_port)):
        follows = last is not None and (each.protocol, each.host_ip) == (last.protocol, last.host_ip)
        if follows and last and (each.host_port - last.host_port, each.container_port - last.container_port) == (1, 1):
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


def shown(ports: Iterable[PublishedPort]) -> list[str]:
    """Return the address and port of the host for each published port, as ``ps`` and ``port`` show them."""
    return [f"{each.address}:{each.host_port}" for each in ports]
