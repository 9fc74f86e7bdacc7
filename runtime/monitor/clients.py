"""The clients of a monitor: connections of commands that show output, send input, or have a request."""

import os
import sys
from _collections_abc import Callable
from _socket import (
    AF_UNIX,
    CMSG_SPACE,
    MSG_CMSG_CLOEXEC,
    MSG_DONTWAIT,
    MSG_NOSIGNAL,
    SOCK_CLOEXEC,
    SOCK_SEQPACKET,
    socket,
)

from pybuild.runtime.monitor.loop import IN, OUT, Loop
from pybuild.runtime.monitor.messages import PIECE, SOCKET

DESCRIPTORS = 5  # of an EXECUTE message: the file of the `InsideCommand`, its status pipe, three streams
_MOST_WAITING = 1 << 20
"""When more bytes than this wait for one client, the monitor stops reading the output of the container."""
_WORD = 4  # bytes of a descriptor, an int of C
_BACKLOG = 128  # connections not accepted yet: a monitor that writes to a slow disk accepts none in the meantime

MessageHandler = Callable[["MonitorClient", bytes, bytes, tuple[int, ...]], None]
"""Takes a client and its message: the kind, the content, and the descriptors, which the handler closes."""


class MonitorClient:
    """One client. *attached* says whether it gets the output, and *types* whether its input goes to the container.

    *tidies* says whether it does itself what comes after the end, *holds* whether the container is not started again
    while it is connected, and *size* how many bytes wait to be sent to it.
    """

    __slots__ = ("_clients", "_reads", "_socket", "_waiting", "attached", "holds", "size", "tidies", "types")

    def __init__(self, fd: int, clients: "Clients") -> None:
        self._socket = socket(fileno=fd)
        self._clients = clients
        self._waiting: list[bytes] = []
        self._reads = True
        self.attached = self.types = self.tidies = self.holds = False
        self.size = 0
        self._watch()

    def send(self, message: bytes) -> None:
        """Send *message* to the client, after the messages that wait for it."""
        if self._waiting or not self._try_send(message):
            self._waiting.append(message)
            self.size += len(message)
            self._watch()

    def send_descriptor(self, fd: int) -> None:
        """Answer with a descriptor, at once: a client that asks for one is not attached, so no output waits for it."""
        rights = (1, 1, fd.to_bytes(_WORD, sys.byteorder))  # SOL_SOCKET, SCM_RIGHTS
        try:
            self._socket.sendmsg([b"1"], [rights], MSG_NOSIGNAL)
        except OSError:  # the client has ended
            return

    def read(self, *, wanted: bool) -> None:
        """Start or stop reading messages of the client; while they are not read, it has to wait in `send`."""
        if wanted != self._reads:
            self._reads = wanted
            self._watch()

    def leave(self) -> None:
        """Close the connection."""
        self._clients.loop.forget(self._socket.fileno())
        self._clients.everyone.remove(self)
        self._socket.close()
        self._clients.left(self)

    def _watch(self) -> None:
        """Wait for the events that matter now. Watched for OUT all the time, the loop would never sleep."""
        wanted = (IN if self._reads else 0) | (OUT if self._waiting else 0)
        self._clients.loop.watch(self._socket.fileno(), wanted, self._ready)

    def _ready(self, _fd: int, events: int) -> None:
        if events & OUT:
            self._flush()
        # First of all: messages may have been sent before a hang-up. The end of the stream comes after them.
        if events & IN and self._reads:
            self._take()
        elif events & ~(IN | OUT):
            self.leave()

    def _flush(self) -> None:
        while self._waiting:
            if not self._try_send(self._waiting[0]):
                return
            self.size -= len(self._waiting.pop(0))
        self._watch()
        self._clients.drained()

    def _try_send(self, message: bytes) -> bool:
        """Send *message* if that is possible without waiting; return False if it must be sent later.

        To a client that has ended it counts as sent, so that nobody waits for it.
        """
        try:
            self._socket.send(message, MSG_NOSIGNAL | MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:  # the client has ended, which the loop reports
            return True
        return True

    def _take(self) -> None:
        try:
            message, extra, _, _ = self._socket.recvmsg(PIECE + 1, CMSG_SPACE(DESCRIPTORS * _WORD), MSG_CMSG_CLOEXEC)
        except OSError:  # the client has ended, which is handled like the end of the stream
            message, extra = b"", []
        # SOL_SOCKET and SCM_RIGHTS are 1.
        fds = tuple(
            int.from_bytes(data[at : at + _WORD], sys.byteorder)
            for level, kind, data in extra
            if (level, kind) == (1, 1)
            for at in range(0, len(data) - _WORD + 1, _WORD)
        )
        if not message:
            self.leave()
            return
        self._clients.handle(self, message[:1], message[1:], fds)


class Clients:
    """All clients, and the socket to which they connect."""

    def __init__(
        self,
        loop: Loop,
        directory: int,
        handle: MessageHandler,
        left: Callable[[MonitorClient], None],
        drained: Callable[[], None],
    ) -> None:
        """Listen in the open directory *directory*.

        *handle* is called for each message, *left* when a client has disconnected, and *drained* when everything that
        waited for one client has been sent.
        """
        self.loop, self.handle, self.left, self.drained = loop, handle, left, drained
        self.everyone: list[MonitorClient] = []
        self._directory = directory
        self._listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC)
        self._unlink()  # the socket of an earlier monitor, without which bind(2) fails
        # By the descriptor, because the address of a Unix socket has at most 107 bytes, and the path may be longer.
        self._listener.bind(f"/proc/self/fd/{directory}/{SOCKET}")
        self._listener.listen(_BACKLOG)
        loop.watch(self._listener.fileno(), IN, self._accept)

    def add(self, fd: int) -> MonitorClient:
        """Add a client that is connected by the socket *fd*."""
        client = MonitorClient(fd, self)
        self.everyone.append(client)
        return client

    def broadcast(self, message: bytes) -> None:
        """Send *message* to all attached clients."""
        for client in list(self.everyone):
            if client.attached:
                client.send(message)

    def are_behind(self) -> bool:
        """Return whether a client reads so slowly that the monitor should stop reading output."""
        return any(client.size > _MOST_WAITING for client in self.everyone)

    def hold(self) -> bool:
        """Return whether a client does not want the container to be started again yet."""
        return any(client.holds for client in self.everyone)

    def close(self) -> None:
        """Accept no more clients."""
        self.loop.forget(self._listener.fileno())
        self._listener.close()

    def _unlink(self) -> None:
        try:
            os.unlink(SOCKET, dir_fd=self._directory)
        except FileNotFoundError:
            return

    def _accept(self, _fd: int, _events: int) -> None:
        # The public `accept` belongs to the module `socket`, whose import takes another 1.3 MB in each monitor.
        try:
            fd, _ = self._listener._accept()  # type: ignore[attr-defined]  # noqa: SLF001
        except OSError:  # the client has gone, or too many files are open and the connection stays in the queue
            return
        self.add(fd)
