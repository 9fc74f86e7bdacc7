"""A Docker daemon that knows enough of the API for an image to be loaded, over a Unix socket."""

import io
import json
import tarfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any, Self


@dataclass
class FakeDaemon:
    """Answers until the block ends. *loaded* has the names of the files of each archive that was sent."""

    socket: Path
    engine: str = "Engine"
    driver: tuple[tuple[str, str], ...] = (("Backing Filesystem", "extfs"),)
    images: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The diff IDs of each image, by its id."""
    answer: Callable[[set[str]], tuple[int, bytes]] = lambda _files: (200, b'{"stream":"Loaded image: x"}\n')
    loaded: list[set[str]] = field(default_factory=list)
    tables: list[Any] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._server = ThreadingUnixStreamServer(str(self.socket), self._handler())
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def address(self) -> str:
        return f"unix://{self.socket}"

    def found(self, path: str) -> object:
        """The document at *path*; None when there is none."""
        match path.partition("?")[0].strip("/").split("/"):
            case ["version"]:
                return {"Components": [{"Name": self.engine}]}
            case ["info"]:
                return {"DriverStatus": [list(row) for row in self.driver]}
            case ["images", "json"]:
                return [{"Id": name} for name in self.images]
            case ["images", name, "json"] if name in self.images:
                return {"RootFS": {"Layers": list(self.images[name])}}
        return None

    def take(self, archive: bytes) -> tuple[int, bytes]:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            files = {item.name for item in tar.getmembers() if item.isfile()}
            table = tar.extractfile("manifest.json")
            self.tables.append(json.load(table) if table else None)
        self.loaded.append(files)
        return self.answer(files)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        daemon = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                found = daemon.found(self.path)
                self._send(
                    200 if found is not None else 404,
                    json.dumps({"message": "no such"} if found is None else found).encode(),
                )

            def do_POST(self) -> None:
                parts = []
                while size := int(self.rfile.readline(), 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                self._send(*daemon.take(b"".join(parts)))

            def _send(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def address_string(self) -> str:
                return "client"

            def log_message(self, *_: object) -> None:
                pass

        return Handler
