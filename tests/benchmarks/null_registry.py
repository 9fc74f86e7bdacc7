"""A registry that keeps nothing: what a push costs the one who pushes, and not the server.

It takes every blob and every document without looking at them, and has none when it is asked. It runs in a process of
its own: ``python -m tests.benchmarks.null_registry`` prints the port that it listens on.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_PIECE = 1 << 20


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer that the API is there, and nothing else."""
        self._answer(200 if self.path == "/v2/" else 404)

    def do_HEAD(self) -> None:
        """Have nothing."""
        self._answer(404)

    def do_POST(self) -> None:
        """Begin an upload."""
        self._drop()
        self._answer(202, Location=f"{self.path}1", Range="0-0")

    def do_PATCH(self) -> None:
        """Take a part of a blob."""
        size = self._drop()
        self._answer(202, Location=self.path, Range=f"0-{max(size - 1, 0)}")

    def do_PUT(self) -> None:
        """Take a document, or the end of a blob."""
        self._drop()
        self._answer(201, Location=self.path)

    def _drop(self) -> int:
        """Read the body, in chunks or of a known length, and return how long it is."""
        size = 0
        if self.headers.get("Transfer-Encoding", "") == "chunked":
            while length := int(self.rfile.readline(), 16):
                size += self._skip(length)
                self.rfile.readline()
            self.rfile.readline()
            return size
        return self._skip(int(self.headers.get("Content-Length", 0)))

    def _skip(self, size: int) -> int:
        buffer = memoryview(bytearray(_PIECE))
        left = size
        while left and (count := self.rfile.readinto(buffer[:left])):
            left -= count
        return size - left

    def _answer(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_request(self, _code: int | str = "-", _size: int | str = "-") -> None:
        """Say nothing."""


@contextmanager
def null_registry() -> Iterator[str]:
    """Give the name of a registry that runs while the block does."""
    words = [sys.executable, "-m", "tests.benchmarks.null_registry"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"localhost:{int(server.stdout.readline())}"
        finally:
            server.terminate()


def _serve() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        sys.stdout.write(f"{server.server_address[1]}\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    _serve()
