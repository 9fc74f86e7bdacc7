"""Servers of tests: one that runs in a thread of this process while a block does, and waiting for one of another."""

import socket
import subprocess
import threading
import time
from collections.abc import Callable
from socketserver import BaseServer
from typing import Self

_PATIENCE, _TRIES = 60, 5
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


def on_a_free_port(start: Callable[[int], subprocess.Popen[bytes]]) -> tuple[subprocess.Popen[bytes], int]:
    """Return the server that *start* starts, once it answers, and its port on loopback.

    Another program may take the port between the look and the start: then the server ends, and another port is tried.
    """
    for _ in range(_TRIES):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        server = start(port)
        try:
            wait_for(port, lambda: server.poll() is None)  # noqa: B023 - called before the next turn
        except RuntimeError:
            server.kill()
        else:
            time.sleep(0.05)  # so that a server has ended which did not get the port, and another answered
            if server.poll() is None:
                return server, port
        server.wait()
    raise RuntimeError(f"{server.args!r} does not answer")
