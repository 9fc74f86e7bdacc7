"""Connections that report their address before anything is sent: a name may resolve to any address."""

from collections.abc import Callable

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

TellPeer = Callable[[str], None]
"""Takes the address of a server that was connected to; when it raises, nothing is sent."""


def watch(manager: urllib3.PoolManager, tell: TellPeer) -> None:
    """Make the connections of *manager* call *tell*."""

    class Plain(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            tell(self.sock.getpeername()[0])

    class Encrypted(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            tell(self.sock.getpeername()[0])

    class PlainPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Plain

    class EncryptedPool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Encrypted

    manager.pool_classes_by_scheme = {"http": PlainPool, "https": EncryptedPool}
