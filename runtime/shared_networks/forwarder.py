"""Forwards ports of the host to a container: ``python -I -S forwarder.py``, with a Unix socket as standard input.

Over the socket it gets the network namespace of the bridges, and a listening socket of the host for each port, with the
address inside that it leads to (`forwarder_client.Forwarded`). It ends when the other end of the socket is closed.
"""

import gc
import os
import select
import sys

gc.disable()
# Last, so that nothing that is installed beside this package is imported in place of the standard library.
sys.path.append(os.path.abspath(__file__).rsplit(os.sep, 4)[0])

import socket  # noqa: E402
from errno import EINPROGRESS  # noqa: E402
from time import monotonic  # noqa: E402

from pybuild.runtime.kernel import syscalls  # noqa: E402 - needs the line above
from pybuild.runtime.kernel.passing import receive  # noqa: E402
from pybuild.runtime.monitor.loop import IN, OUT, Loop  # noqa: E402

_PIECE = 1 << 16  # bytes that are read at once, and that wait for a slow reader
_PIECES = 16  # of one connection before the others have their turn
_MOST_CLIENTS = 256
"""Clients of one UDP port whose answers find back. The one that was silent for the longest time is forgotten first."""
_SILENCE = 90.0  # seconds after which a client of a UDP port is forgotten when another one comes
_RESET = b"\x01\x00\x00\x00\x00\x00\x00\x00"
"""The struct linger with which close(2) resets a connection: the client sees that nobody is there."""
Address = tuple[str, int]
"""An address and a port. Two more numbers follow in those that the kernel returns for IPv6, which it gets back."""


def _inner(address: Address, kind: socket.SocketKind) -> socket.socket:
    """Return a new socket for *address*, which is of IPv4 or of IPv6, in the network of the containers."""
    return socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, kind)


class _Flow:
    """One direction of a connection: *waiting* was read from *source* and is not yet written to *sink*."""

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self.source, self.sink = source, sink
        self.waiting = b""
        self.read_all = self.written_all = False

    def move(self) -> None:
        """Read and write what is possible now. Raises BlockingIOError, or another OSError for a broken connection."""
        for _ in range(_PIECES):
            if self.written_all:
                return
            if not self.waiting and not self.read_all:
                self.waiting = self.source.recv(_PIECE)
                self.read_all = not self.waiting
            if self.waiting:
                self.waiting = self.waiting[self.sink.send(self.waiting) :]
            elif self.read_all:
                self.sink.shutdown(socket.SHUT_WR)
                self.written_all = True


class _Relay:
    """A TCP connection of a client, and the one to the container at *address* that carries it on."""

    def __init__(self, loop: Loop, client: socket.socket, address: Address) -> None:
        self._loop = loop
        self._client, self._inner = client, _inner(address, socket.SOCK_STREAM)
        self._flows = (_Flow(client, self._inner), _Flow(self._inner, client))
        self._connected = False
        for each in (client, self._inner):
            each.setblocking(False)
        if self._inner.connect_ex(address) in {0, EINPROGRESS}:
            loop.watch(self._inner.fileno(), OUT, self._ready)
        else:
            self._end(reset=True)

    def _ready(self, _fd: int, _events: int) -> None:
        if not self._connected:
            if self._inner.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self._end(reset=True)
                return
            self._connected = True
        try:
            for flow in self._flows:
                try:
                    flow.move()
                except BlockingIOError:
                    continue
        except OSError:
            self._end(reset=True)
            return
        if all(flow.written_all for flow in self._flows):
            self._end()
        else:
            self._wait()

    def _wait(self) -> None:
        """Watch for what can be done next on each side. A side without anything would report its hang-up for ever."""
        for end in (self._client, self._inner):
            reads = any(flow.source is end and not flow.waiting and not flow.read_all for flow in self._flows)
            writes = any(flow.sink is end and flow.waiting for flow in self._flows)
            if reads or writes:
                self._loop.watch(end.fileno(), IN * reads | OUT * writes, self._ready)
            else:
                self._loop.forget(end.fileno())

    def _end(self, *, reset: bool = False) -> None:
        if reset:
            self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        for each in (self._client, self._inner):
            self._loop.forget(each.fileno())
            each.close()


class _Datagrams:
    """A UDP port: each client has a socket of its own inside, by which the answers find back."""

    def __init__(self, loop: Loop, listening: socket.socket, address: Address) -> None:
        self._loop, self._listening, self._address = loop, listening, address
        # The client that sent or received last is the last one.
        self._clients: dict[Address, tuple[socket.socket, float]] = {}
        loop.watch(listening.fileno(), IN, self._from_host)

    def _from_host(self, _fd: int, _events: int) -> None:
        try:
            data, client = self._listening.recvfrom(_PIECE)
            self._inner_of(client).send(data)
        except OSError:  # nothing is there after all, or nobody listens inside: datagrams may be lost
            return

    def _inner_of(self, client: Address) -> socket.socket:
        inner, _ = self._clients.pop(client, (None, 0.0))
        if inner is None:
            self._forget_some()
            inner = _inner(self._address, socket.SOCK_DGRAM)
            inner.setblocking(False)
            inner.connect(self._address)
            self._loop.watch(inner.fileno(), IN, lambda _fd, _events: self._from_container(client))
        self._clients[client] = inner, monotonic()
        return inner

    def _from_container(self, client: Address) -> None:
        inner, _ = self._clients.pop(client)
        self._clients[client] = inner, monotonic()
        try:
            self._listening.sendto(inner.recv(_PIECE), client)
        except OSError:  # as in `_from_host`
            return

    def _forget_some(self) -> None:
        now = monotonic()
        for client, (inner, heard) in list(self._clients.items()):
            if now - heard < _SILENCE and len(self._clients) < _MOST_CLIENTS:
                return
            del self._clients[client]
            self._loop.forget(inner.fileno())
            inner.close()


def _accept(loop: Loop, listening: socket.socket, address: Address) -> None:
    try:
        client, _ = listening.accept()
    except OSError:  # the client has gone, or there are no more descriptors: others may be closed meanwhile
        return
    _Relay(loop, client, address)


def main() -> None:
    """Forward until the other end of the socket is closed."""
    loop = Loop()
    _, (space,) = receive(0, 1)
    # Sockets belong to the namespace in which they were made: those that listen to that of the host.
    syscalls.setns(space, syscalls.CLONE_NEWNET)
    os.close(space)
    # From here on it reads what anybody sends, and needs no rights any more.
    syscalls.capset(0, 0, 0)
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    while True:
        message, received = receive(0, 1)
        if not received:
            break
        protocol, ip, port = message.decode().split()
        listening, address = socket.socket(fileno=received[0]), (ip, int(port))
        listening.setblocking(False)
        if protocol == "udp":
            _Datagrams(loop, listening, address)
        else:
            loop.watch(
                listening.fileno(),
                IN,
                lambda _fd, _events, at=(listening, address): _accept(loop, *at),  # type: ignore[misc]
            )
    ended: list[int] = []
    loop.watch(0, select.POLLIN, lambda fd, _events: ended.append(fd))
    while not ended:
        loop.turn(None)


if __name__ == "__main__":
    try:
        syscalls.close_range(3)  # the starter's locks of containers are among them
        os.setsid()
        main()
    finally:
        os._exit(0)
