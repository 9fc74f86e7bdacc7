"""A registry in this process, on a loopback port: it serves what a test puts in, and misbehaves when told to.

with FakeRegistry() as registry:
    registry.add(blobs, "team/app", "1.0", descriptor)
    registry.answer("/v2/team/app/manifests/1.0", Answer(status=503))    # once, then it works
    ...
    assert registry.requests[0].headers["Authorization"] == ...
"""

import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import urlsplit

from builder.oci.blobs import BlobStore
from builder.oci.image import Image, reachable
from builder.oci.media import INDEXES, MANIFESTS
from builder.oci.model import Descriptor
from builder.oci.registry.registry import Registry, Resolved
from builder.oci.registry.retry import Retry

APP = "team/app"
TAG = f"/v2/{APP}/manifests/1.0"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What to send. With *length* other than that of the body, the connection is closed after the body."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    length: int | None = None


@dataclass(frozen=True)
class Request:
    """What came in."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]


class FakeRegistry:
    """Content by path, scripted answers before it, and a record of all requests."""

    def __init__(self, *, token: str | None = None) -> None:
        self.content: dict[str, tuple[str, bytes, str]] = {}
        self.requests: list[Request] = []
        self.token = token
        self.challenge = ""
        self._scripts: dict[str, list[Answer]] = defaultdict(list)
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"registry": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.name = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.name}"
        if token:
            self.challenge = f'Bearer realm="{self.url}/token",service="fake"'
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def add(self, blobs: BlobStore, repository: str, tag: str, descriptor: Descriptor) -> None:
        """Serve an image of *blobs* with all that belongs to it."""
        for item in reachable(blobs, descriptor):
            with blobs.open(item) as file:
                self.put(repository, item, file.read())
        kind, body, digest = self.content[f"/v2/{repository}/manifests/{descriptor.digest}"]
        self.content[f"/v2/{repository}/manifests/{tag}"] = (kind, body, digest)

    def put(self, repository: str, item: Descriptor, body: bytes) -> None:
        """Serve *body* under the digest of *item*, whether it has this digest or not."""
        document = item.media_type in INDEXES | MANIFESTS
        kind = item.media_type if document else "application/octet-stream"
        path = f"/v2/{repository}/{'manifests' if document else 'blobs'}/{item.digest}"
        self.content[path] = (kind, body, str(item.digest))

    def answer(self, path: str, *answers: Answer) -> None:
        """Send these answers, one for each request of *path* (of any method), before the content counts."""
        self._scripts[path].extend(answers)

    def paths(self, method: str = "GET") -> list[str]:
        """The paths asked for so far."""
        return [request.path for request in self.requests if request.method == method]

    def reply(self, request: Request) -> Answer:
        """Decide about one request."""
        with self._lock:
            self.requests.append(request)
            if self._scripts[request.path]:
                return self._scripts[request.path].pop(0)
        if request.path == "/token":
            return Answer(body=f'{{"token":"{self.token}"}}'.encode())
        if self.challenge and request.headers.get("Authorization") != f"Bearer {self.token}":
            return Answer(status=401, headers={"WWW-Authenticate": self.challenge})
        if request.path not in self.content:
            return Answer(status=404, body=b'{"errors":[{"code":"UNKNOWN","message":"not here"}]}')
        kind, body, digest = self.content[request.path]
        return Answer(headers={"Content-Type": kind, "Docker-Content-Digest": digest}, body=body)


class _Handler(BaseHTTPRequestHandler):
    registry: FakeRegistry
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        answer = self.registry.reply(Request(self.command, parts.path, parts.query, dict(self.headers.items())))
        self.send_response(answer.status)
        for key, value in answer.headers.items():
            self.send_header(key, value)
        if "Content-Length" not in answer.headers:
            self.send_header("Content-Length", str(len(answer.body) if answer.length is None else answer.length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)
        if answer.length is not None:
            self.close_connection = True

    do_HEAD = do_GET

    def log_message(self, *_arguments: object) -> None:
        """Say nothing: tests look at `FakeRegistry.requests`."""


class Patience:
    """Never waits, but remembers how long it should have."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.retry = Retry(pause=lambda _stop, seconds: self.waits.append(seconds))


def pull(registry: Registry, blobs: BlobStore, target: str = "1.0") -> Resolved:
    """Bring all of `APP`."""
    found = registry.resolve(APP, target, blobs)
    registry.fetch(APP, found.image.manifest.layers, blobs)
    return found


def blob_path(image: Image, number: int = 0) -> str:
    """Where the registry serves a layer of `APP`."""
    return f"/v2/{APP}/blobs/{image.manifest.layers[number].digest}"
