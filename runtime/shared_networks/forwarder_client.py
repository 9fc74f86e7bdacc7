"""Starting the process that forwards the published ports of one container."""

import os
import socket
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from pybuild.runtime.errors import RuntimeHostError
from pybuild.runtime.kernel.passing import send, socket_pair
from pybuild.runtime.kernel.pidfd import leave
from pybuild.runtime.sandbox.interpreter import child_argv, child_environment, interpreter
from pybuild.runtime.values import frozen

_FORWARDER = Path(__file__).with_name("forwarder.py")
_QUEUE = 512  # connections that wait to be accepted


@frozen
class Forwarded:
    """A port of the host that leads to *port* at the address *ip* of a container; *host_ip* is "" for all addresses."""

    protocol: str
    host_ip: str
    host_port: int
    ip: str
    port: int


def forward(space: int, kept: Iterable[int], ports: Iterable[Forwarded]) -> int:
    """Forward *ports* into the network namespace *space* until the last copy of the returned descriptor is closed.

    Copies of the descriptors *kept*, such as that of a use of the namespace, are open as long.

    Raises:
        RuntimeHostError: a port is in use, or may not be listened at, or is one of SCTP.
    """
    with ExitStack() as opened:
        listening = [(opened.enter_context(_listen(each)), each) for each in ports]
        ours, theirs = socket_pair()
        try:
            _spawn(theirs)
            # What is on its way in a socket is open as long as the socket is.
            for fd in kept:
                send(theirs, b"use", fd)
        finally:
            os.close(theirs)
        try:
            send(ours, b"net", space)
            for one, each in listening:
                send(ours, f"{each.protocol} {each.ip} {each.port}".encode(), one.fileno())
            send(ours, b"go")
        except BaseException:
            os.close(ours)
            raise
        return ours


def _listen(each: Forwarded) -> socket.socket:
    if each.protocol not in {"tcp", "udp"}:
        raise RuntimeHostError(f"ports of {each.protocol} are published by root only")
    is_ipv6 = ":" in each.host_ip
    kind = socket.SOCK_DGRAM if each.protocol == "udp" else socket.SOCK_STREAM
    made = socket.socket(socket.AF_INET6 if is_ipv6 else socket.AF_INET, kind)
    try:
        if is_ipv6:
            # Otherwise it would use the port of the IPv4 addresses as well.
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if each.protocol == "tcp":
            # Connections of an earlier container that have just ended keep the port in use otherwise (TIME_WAIT).
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((each.host_ip, each.host_port))
        if each.protocol == "tcp":
            made.listen(_QUEUE)
    except OSError as error:
        made.close()
        host = f"[{each.host_ip}]" if is_ipv6 else each.host_ip or "0.0.0.0"  # noqa: S104 - as Docker shows it
        address = f"{host}:{each.host_port}"
        reason = (error.strerror or "refused").lower()
        raise RuntimeHostError(f"Bind for {address} failed: {reason}") from error
    return made


def _spawn(channel: int) -> None:
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        actions = [(os.POSIX_SPAWN_DUP2, channel, 0), *((os.POSIX_SPAWN_DUP2, null, stream) for stream in (1, 2))]
        leave(
            os.posix_spawn(
                f"/proc/self/fd/{interpreter()}",
                child_argv(script=_FORWARDER),
                child_environment(),
                file_actions=actions,
            )
        )
    finally:
        os.close(null)
