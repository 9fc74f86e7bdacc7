"""The connections of `http.py`: they report their address before anything is sent, and can be given up.

A name may resolve to any address, so the address that counts is that of the connection.
"""

import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from pybuild.runtime.stopping import ending

TellPeer = Callable[[str], None]
"""Takes the address of a server that was connected to; when it raises, nothing is sent."""


def use(manager: urllib3.PoolManager, tell: TellPeer | None = None) -> None:
    """Make *manager* use these connections, which call *tell*."""

    class Plain(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            if tell is not None:
                tell(self.sock.getpeername()[0])

        def getresponse(self) -> Any:
            with ending(partial(_end, self.sock)):
                return super().getresponse()

    class Encrypted(Plain, HTTPSConnection):
        """The same: for this class, super() of `Plain` is HTTPSConnection."""

    class PlainPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Plain

    class EncryptedPool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Encrypted

    manager.pool_classes_by_scheme = {"http": PlainPool, "https": EncryptedPool}


def _end(connected: Any) -> None:
    """Shut down a connection, so that a thread that waits for it wakes up."""
    with suppress(OSError):
        # The method of SSLSocket would first remove the SSL object that the other thread reads with.
        socket.socket.shutdown(connected, socket.SHUT_RDWR)
