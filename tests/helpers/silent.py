"""A server that takes requests and does not answer, or not to the end."""

import socket
import socketserver
import threading

from tests.helpers.serving import Serving

PATIENCE = 25
"""Seconds after which it closes a connection: shorter than the patience of a client, much longer than any test waits."""


class Silent(Serving):
    """*heard* is set by a request, *gave_up* when a connection was open for `PATIENCE`, *left* when a client closed one."""

    def __init__(self, said: bytes = b"") -> None:
        self.heard, self.gave_up, self.left = threading.Event(), threading.Event(), threading.Event()
        self.said = said
        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"silent": self}))
        server.daemon_threads = False
        super().__init__(server)
        self.name = f"127.0.0.1:{server.server_address[1]}"
        self.url = f"http://{self.name}/"


class _Handler(socketserver.BaseRequestHandler):
    silent: Silent
    request: socket.socket

    def handle(self) -> None:
        self.request.recv(65536)
        self.request.sendall(self.silent.said)
        self.silent.heard.set()
        self.request.settimeout(PATIENCE)
        try:
            while self.request.recv(65536):
                pass
        except TimeoutError:
            self.silent.gave_up.set()
        except OSError:
            self.silent.left.set()
        else:
            self.silent.left.set()
