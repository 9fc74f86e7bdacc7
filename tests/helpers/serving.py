"""Servers of tests: one that runs in a thread of this process while a block does, and waiting for one of another."""

import socket
import threading
import time
from collections.abc import Callable
from socketserver import BaseServer
from typing import Self

_PATIENCE = 60
_POLL = 0.005  # seconds: how long the end of a block waits for its server


class Serving:
    """A server that answers while the block runs."""

    def __init__(self, server: BaseServer) -> None:
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, args=(_POLL,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def wait_for(port: int, runs: Callable[[], bool] = lambda: True) -> None:
    """Wait until a server on loopback takes connections. Raises RuntimeError when it does not, or no longer *runs*."""
    deadline = time.monotonic() + _PATIENCE
    while runs() and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.01)
        else:
            return
    raise RuntimeError(f"the server on port {port} does not answer")
