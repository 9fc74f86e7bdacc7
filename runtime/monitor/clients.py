"""The clients of a monitor: commands that show output, send input, or want something done."""

import os
import sys
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
from collections.abc import Callable

from pybuild.runtime.monitor.loop import IN, OUT, Loop
from pybuild.runtime.monitor.messages import PIECE, SOCKET

DESCRIPTORS = 5  # of a message: a command to run inside, its status pipe, three streams
_MOST_WAITING = 1 << 20
"""Bytes that wait for one client before the process has to wait, too."""
_WORD = 4  # bytes of a descriptor, an int of C
_BACKLOG = 128  # connections that wait: a monitor that writes to a slow disk accepts none for a moment

Said = Callable[["MonitorClient", bytes, bytes, tuple[int, ...]], None]
"""Takes a message of a client: its kind, what it carries, and descriptors that the taker closes."""


class MonitorClient:
    """One client. *attached* is whether it is shown output, *types* whether its input is the process's."""

    __slots__ = ("_clients", "_reads", "_socket", "_waiting", "attached", "removes", "size", "types")

    def __init__(self, fd: int, clients: "Clients") -> None:
        self._socket = socket(fileno=fd)
        self._clients = clients
        self._waiting: list[bytes] = []
        self._reads = True
        self.attached = self.types = self.removes = False
        self.size = 0
        self._watch()

    def send(self, message: bytes) -> None:
        """Send *message* to the client, at once or after the messages that wait."""
        if self._waiting or not self._sent(message):
            self._waiting.append(message)
            self.size += len(message)
            self._watch()

    def send_descriptor(self, fd: int) -> None:
        """Answer with a descriptor; a client that asks for one has nothing that waits."""
        rights = (1, 1, fd.to_bytes(_WORD, sys.byteorder))  # SOL_SOCKET, SCM_RIGHTS
        try:
            self._socket.sendmsg([b"1"], [rights], MSG_NOSIGNAL)
        except OSError:  # it has left
            return

    def read(self, *, wanted: bool) -> None:
        """Take messages of the client, or let them wait."""
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
        wanted = (IN if self._reads else 0) | (OUT if self._waiting else 0)
        self._clients.loop.watch(self._socket.fileno(), wanted, self._ready)

    def _ready(self, _fd: int, events: int) -> None:
        if events & OUT and not self._flushed():
            self.leave()
        elif events & IN and self._reads:
            self._take()
        elif events & ~(IN | OUT):
            self.leave()

    def _flushed(self) -> bool:
        while self._waiting:
            try:
                if not self._sent(self._waiting[0]):
                    return True
            except OSError:
                return False
            self.size -= len(self._waiting.pop(0))
        self._watch()
        self._clients.drained()
        return True

    def _sent(self, message: bytes) -> bool:
        try:
            self._socket.send(message, MSG_NOSIGNAL | MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:  # the loop reports its end
            return True
        return True

    def _take(self) -> None:
        try:
            message, extra, _, _ = self._socket.recvmsg(PIECE + 1, CMSG_SPACE(DESCRIPTORS * _WORD), MSG_CMSG_CLOEXEC)
        except OSError:
            message, extra = b"", []
        fds = tuple(
            int.from_bytes(data[at : at + _WORD], sys.byteorder)
            for level, kind, data in extra
            if (level, kind) == (1, 1)
            for at in range(0, len(data) - _WORD + 1, _WORD)
        )
        if not message:
            self.leave()
            return
        self._clients.said(self, message[:1], message[1:], fds)


class Clients:
    """All clients, and the socket that they come by."""

    def __init__(
        self, loop: Loop, directory: int, said: Said, left: Callable[[MonitorClient], None], drained: Callable[[], None]
    ) -> None:
        """Listen in the open directory *directory*. *said*, *left* and *drained* are called when that happened."""
        self.loop, self.said, self.left, self.drained = loop, said, left, drained
        self.everyone: list[MonitorClient] = []
        self._directory = directory
        self._listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC)
        self._unlink()
        # By the descriptor: the name of a socket has room for 107 bytes.
        self._listener.bind(f"/proc/self/fd/{directory}/{SOCKET}")
        self._listener.listen(_BACKLOG)
        loop.watch(self._listener.fileno(), IN, self._accept)

    def add(self, fd: int) -> MonitorClient:
        """Take a connection that is there already."""
        client = MonitorClient(fd, self)
        self.everyone.append(client)
        return client

    def tell(self, message: bytes) -> None:
        """Send *message* to all that are attached."""
        for client in list(self.everyone):
            if client.attached:
                client.send(message)

    def are_behind(self) -> bool:
        """Return whether somebody who is attached takes output more slowly than it comes."""
        return any(client.size > _MOST_WAITING for client in self.everyone)

    def close(self) -> None:
        """Take no more of them."""
        self.loop.forget(self._listener.fileno())
        self._listener.close()

    def _unlink(self) -> None:
        try:
            os.unlink(SOCKET, dir_fd=self._directory)
        except FileNotFoundError:
            return

    def _accept(self, _fd: int, _events: int) -> None:
        # The public one belongs to the module socket, which is large.
        try:
            fd, _ = self._listener._accept()  # type: ignore[attr-defined]  # noqa: SLF001
        except OSError:
            return
        self.add(fd)
