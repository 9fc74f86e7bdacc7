"""A proxy on loopback that knows CONNECT and nothing else: every name leads to one place, and it remembers who asked."""

import select
import socket
import socketserver

from tests.helpers.serving import Serving

_PIECE = 65536


class ConnectProxy(Serving):
    """Tunnels to 127.0.0.1:*port*. *asked* has (target, Proxy-Authorization) of each request."""

    def __init__(self, port: int, authorization: str = "") -> None:
        self.port, self.authorization = port, authorization
        self.asked: list[tuple[str, str]] = []
        handler = type("Handler", (_Tunnel,), {"proxy": self})
        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        super().__init__(server)
        self.name = f"127.0.0.1:{server.server_address[1]}"


class _Tunnel(socketserver.StreamRequestHandler):
    proxy: ConnectProxy
    rbufsize = 0

    def handle(self) -> None:
        method, target, _version = self.rfile.readline().decode().split()
        given = ""
        while line := self.rfile.readline().decode().strip():
            key, _, value = line.partition(": ")
            given = value if key.lower() == "proxy-authorization" else given
        self.proxy.asked.append((target, given))
        if method != "CONNECT" or given != self.proxy.authorization:
            self.wfile.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with socket.create_connection(("127.0.0.1", self.proxy.port)) as there:
            _pass_on(self.connection, there)


def _pass_on(here: socket.socket, there: socket.socket) -> None:
    """Pass bytes on in both directions until one side ends."""
    other = {here: there, there: here}
    while True:
        for side in select.select([here, there], [], [])[0]:
            try:
                data = side.recv(_PIECE)
            except ConnectionError:
                return
            if not data:
                return
            other[side].sendall(data)
