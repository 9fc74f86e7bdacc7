"""Starting the process that forwards the published ports of one container."""

import os
import socket
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from pybuild.runtime.errors import RuntimeHostError
from pybuild.runtime.kernel.passing import send, socket_pair
from pybuild.runtime.kernel.pidfd import has_ended, leave
from pybuild.runtime.sandbox.interpreter import child_argv, child_environment, interpreter
from pybuild.runtime.shared_networks.sharing import NetworkEnded, Use
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


def forward(use: Use, ports: Iterable[Forwarded]) -> int:
    """Forward *ports* until the last copy of the returned descriptor is closed, which also keeps the network in use.

    Raises:
        RuntimeHostError: a port is in use, or may not be listened at, or is one of SCTP.
    """
    with ExitStack() as opened:
        listening = [(opened.enter_context(_listen(each)), each) for each in ports]
        space = os.open(f"/proc/{use.holder.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        opened.callback(os.close, space)
        if has_ended(use.process):  # the number may have been that of another process
            raise NetworkEnded
        ours, theirs = socket_pair()
        try:
            _spawn(theirs)
            # What is on its way in a socket is open as long as the socket is.
            send(theirs, b"use", use.users)
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
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if each.protocol == "udp" else socket.SOCK_STREAM)
    try:
        if each.protocol == "tcp":
            # Connections of an earlier container that have just ended keep the port in use otherwise (TIME_WAIT).
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((each.host_ip, each.host_port))
        if each.protocol == "tcp":
            made.listen(_QUEUE)
    except OSError as error:
        made.close()
        address = f"{each.host_ip or '0.0.0.0'}:{each.host_port}"  # noqa: S104 - as Docker shows it
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
