"""A registry in this process, on a loopback port: it serves and takes images, and misbehaves on request.

with FakeRegistry() as registry:
    registry.add(blobs, "team/app", "1.0", descriptor)
    registry.answer("/v2/team/app/manifests/1.0", Answer(status=503))    # once, then it works
    registry.fault = lambda request: Fault.RESET if request.method == "PATCH" else None
    ...
    assert registry.requests[0].headers["Authorization"] == ...
"""

import hashlib
import json
import os
import re
import socket
import ssl
import struct
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from pybuild.builder.oci import media
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.image import Image, reachable
from pybuild.builder.oci.media import INDEXES, MANIFESTS
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.oci.registry.registry import Registry, Resolved
from pybuild.builder.oci.registry.wire.retry import Retry
from tests.helpers.serving import Serving

APP = "team/app"
TAG = f"/v2/{APP}/manifests/1.0"

_UPLOAD = re.compile(r"/v2/(?P<repository>.+)/blobs/uploads/(?P<id>\w*)")
_MANIFEST = re.compile(r"/v2/(?P<repository>.+)/manifests/(?P<target>[^/]+)")
_REFERRERS = re.compile(r"/v2/(?P<repository>.+)/referrers/(?P<digest>[^/]+)")
_RANGE = re.compile(r"bytes=(\d+)-")
_PIECE = 1000


class Fault(Enum):
    """What can go wrong with one request, at a moment that the next attempt survives."""

    BUSY = auto()
    """429 with Retry-After."""
    BROKEN = auto()
    """500, 502, 503 or 504."""
    RESET = auto()
    """The connection is reset instead of an answer; nothing was done."""
    LOST = auto()
    """The request is carried out, but its answer gets lost."""
    CUT = auto()
    """The connection is reset in the middle of the body, of the request or else of the answer."""
    SHORT = auto()
    """The answer ends early, with an orderly close."""
    DRIBBLE = auto()
    """The answer comes in small pieces."""
    EXPIRED = auto()
    """The token is no longer good; nothing for a registry without tokens."""
    ELSEWHERE = auto()
    """A redirect to another host; of a download only."""
    FORGOTTEN = auto()
    """The registry no longer knows its upload sessions."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What to send. With *length* other than that of the body, the connection is closed after the body."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    length: int | None = None
    fault: Fault | None = None


@dataclass(frozen=True)
class Request:
    """What came in."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def kind(self) -> str:
        """What is asked for, in a word."""
        upload = _UPLOAD.fullmatch(self.path)
        if upload:
            return f"{self.method} {'session' if upload['id'] else 'mount' if 'mount=' in self.query else 'uploads'}"
        if self.path == "/token":
            return "token"
        return f"{self.method} {'blob' if '/blobs/' in self.path else 'manifest' if '/manifests/' in self.path else 'other'}"


class FakeRegistry(Serving):
    """Content by path, scripted answers before it, and a record of all requests."""

    def __init__(
        self,
        *,
        token: str | None = None,
        referrers: bool = True,
        chunk_limit: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.content: dict[str, tuple[str, bytes, str]] = {}
        self.sessions: dict[str, bytearray] = {}
        self.requests: list[Request] = []
        self.token = token
        self.challenge = ""
        self._accepted: str | None = None
        self.fault: Callable[[Request], Fault | None] = lambda _request: None
        self.cdn: FakeRegistry | None = None
        self.referrers, self.chunk_limit = referrers, chunk_limit
        self.page = 2
        self.keeps_partial = True
        """Whether the part of an interrupted request that arrived is kept."""
        self._scripts: dict[str, list[Answer]] = defaultdict(list)
        self._lock = threading.RLock()
        handler = type("Handler", (_Handler,), {"registry": self})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        super().__init__(server)
        self.port = server.server_port
        self.name = f"127.0.0.1:{self.port}"
        self.url = f"{'https' if tls else 'http'}://{self.name}"
        if tls:
            # The handshake is for the thread of the connection: it may fail there without an end of the server.
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        if token:
            self.challenge = f'Bearer realm="{self.url}/token",service="fake"'

    def add(self, blobs: BlobStore, repository: str, tag: str, descriptor: Descriptor) -> None:
        """Serve an image of *blobs* with all that belongs to it."""
        for item in reachable(blobs, descriptor):
            with blobs.open(item) as file:
                self.put(repository, item, file.read())
        self.content[f"/v2/{repository}/manifests/{tag}"] = self.content[
            f"/v2/{repository}/manifests/{descriptor.digest}"
        ]

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

    def has(self, repository: str, blobs: BlobStore, tag: str, descriptor: Descriptor) -> bool:
        """Return whether the image is there, complete and right, under its tag."""
        for item in reachable(blobs, descriptor):
            document = item.media_type in INDEXES | MANIFESTS
            found = self.content.get(f"/v2/{repository}/{'manifests' if document else 'blobs'}/{item.digest}")
            with blobs.open(item) as file:
                if found is None or found[1] != file.read():
                    return False
        tagged = self.content.get(f"/v2/{repository}/manifests/{tag}")
        return tagged is not None and tagged[1] == blobs.read(descriptor)

    def begin(self, request: Request) -> Fault | None:
        """Take note of a request and decide what goes wrong with it."""
        with self._lock:
            self.requests.append(request)
            return self.fault(request)

    def with_body(self, request: Request, body: bytes) -> Request:
        """Complete the record of a request."""
        complete = replace(request, body=body)
        with self._lock:
            self.requests = [complete if known is request else known for known in self.requests]
        return complete

    def reply(self, request: Request, fault: Fault | None = None) -> Answer:
        """Decide about one request."""
        with self._lock:
            if self._scripts[request.path]:
                return self._scripts[request.path].pop(0)
            if fault is Fault.BUSY:
                return Answer(status=429, headers={"Retry-After": "3"})
            if fault is Fault.BROKEN:
                return Answer(status=500 + len(self.requests) % 5 if len(self.requests) % 5 != 1 else 503)
            if fault is Fault.FORGOTTEN:
                self.sessions.clear()
            if fault is Fault.EXPIRED and self._accepted == self.token and self.token:
                self.token += "+"
            if fault is Fault.ELSEWHERE and self.cdn and request.method == "GET" and request.path in self.content:
                self.cdn.content[request.path] = self.content[request.path]
                return Answer(status=307, headers={"Location": f"{self.cdn.url}{request.path}?signature=x"})
            return self._honest(request)

    def keep_part(self, request: Request, part: bytes) -> None:
        """Take the beginning of an interrupted request."""
        found = _UPLOAD.fullmatch(request.path)
        allowed = not self.challenge or request.headers.get("Authorization") == f"Bearer {self.token}"
        with self._lock:
            if self.keeps_partial and allowed and found and found["id"] in self.sessions:
                self.sessions[found["id"]] += part

    def _honest(self, request: Request) -> Answer:
        if request.path == "/token":
            return Answer(body=f'{{"token":"{self.token}"}}'.encode())
        if self.challenge and request.headers.get("Authorization") != f"Bearer {self.token}":
            return Answer(status=401, headers={"WWW-Authenticate": self.challenge})
        self._accepted = self.token
        if found := _UPLOAD.fullmatch(request.path):
            return self._upload(request, found["repository"], found["id"])
        if request.method == "PUT" and (found := _MANIFEST.fullmatch(request.path)):
            return self._take_manifest(request, found["repository"], found["target"])
        if found := _REFERRERS.fullmatch(request.path):
            return self._list_referrers(found["repository"], found["digest"])
        if request.path.endswith("/tags/list"):
            return self._tags(request)
        if request.path == "/v2/":
            return Answer(body=b"{}")
        return self._give(request)

    def _give(self, request: Request) -> Answer:
        if request.path not in self.content:
            return Answer(status=404, body=b'{"errors":[{"code":"UNKNOWN","message":"not here"}]}')
        kind, body, digest = self.content[request.path]
        headers = {"Content-Type": kind, "Docker-Content-Digest": digest}
        wanted = _RANGE.fullmatch(request.headers.get("Range", ""))
        if wanted is None or "/blobs/" not in request.path:
            return Answer(headers=headers, body=body)
        first = int(wanted[1])
        if first >= len(body):
            return Answer(status=416)
        headers["Content-Range"] = f"bytes {first}-{len(body) - 1}/{len(body)}"
        return Answer(status=206, headers=headers, body=body[first:])

    def _upload(self, request: Request, repository: str, session: str) -> Answer:
        query = {key: values[0] for key, values in parse_qs(request.query).items()}
        if request.method == "POST":
            return self._begin_upload(repository, query)
        content = self.sessions.get(session)
        if content is None:
            return _error(404, "BLOB_UPLOAD_UNKNOWN")
        if self.chunk_limit and len(request.body) > self.chunk_limit:
            return Answer(status=413)
        if request.method == "GET":
            return self._progress(204, repository, session)
        if request.method == "PATCH" and int(request.headers["Content-Range"].partition("-")[0]) != len(content):
            return replace(_error(416, "RANGE_INVALID"), headers={"Range": f"0-{max(0, len(content) - 1)}"})
        content += request.body
        if request.method == "PATCH":
            return self._progress(202, repository, session)
        return self._finish_upload(repository, session, query["digest"])

    def _begin_upload(self, repository: str, query: Mapping[str, str]) -> Answer:
        source = f"/v2/{query.get('from')}/blobs/{query.get('mount')}"
        if source in self.content:
            path = f"/v2/{repository}/blobs/{query['mount']}"
            self.content[path] = self.content[source]
            return Answer(status=201, headers={"Location": path, "Docker-Content-Digest": query["mount"]})
        session = f"s{len(self.requests)}x{len(self.sessions)}"
        self.sessions[session] = bytearray()
        return self._progress(202, repository, session)

    def _progress(self, status: int, repository: str, session: str) -> Answer:
        """Every answer has another location for the next request, sometimes a relative one, as with real registries."""
        place = f"/v2/{repository}/blobs/uploads/{session}?state={len(self.requests)}"
        location = place if len(self.requests) % 2 else f"{self.url}{place}"
        last = max(0, len(self.sessions[session]) - 1)
        return Answer(status=status, headers={"Location": location, "Range": f"0-{last}"})

    def _finish_upload(self, repository: str, session: str, digest: str) -> Answer:
        content = bytes(self.sessions.pop(session))
        if digest != f"sha256:{hashlib.sha256(content).hexdigest()}":
            return _error(400, "DIGEST_INVALID")
        self.content[f"/v2/{repository}/blobs/{digest}"] = ("application/octet-stream", content, digest)
        return Answer(status=201, headers={"Docker-Content-Digest": digest})

    def _take_manifest(self, request: Request, repository: str, target: str) -> Answer:
        document = json.loads(request.body)
        blobs = [item["digest"] for item in (document.get("config"), *document.get("layers", ())) if item]
        missing = [item for item in blobs if f"/v2/{repository}/blobs/{item}" not in self.content]
        missing += [
            item["digest"]
            for item in document.get("manifests", ())
            if f"/v2/{repository}/manifests/{item['digest']}" not in self.content and not target.startswith("sha256-")
        ]
        if missing:
            return _error(400, "MANIFEST_BLOB_UNKNOWN")
        digest = f"sha256:{hashlib.sha256(request.body).hexdigest()}"
        for name in {target, digest}:
            entry = (request.headers["Content-Type"], request.body, digest)
            self.content[f"/v2/{repository}/manifests/{name}"] = entry
        headers = {"Docker-Content-Digest": digest}
        if self.referrers and "subject" in document:
            headers["OCI-Subject"] = document["subject"]["digest"]
        return Answer(status=201, headers=headers)

    def _list_referrers(self, repository: str, digest: str) -> Answer:
        if not self.referrers:
            return Answer(status=404)
        entries = []
        for path, (kind, body, own) in self.content.items():
            found = _MANIFEST.fullmatch(path)
            if found and found["repository"] == repository and found["target"] == own:
                document = json.loads(body)
                if document.get("subject", {}).get("digest") == digest:
                    artifact = document.get("artifactType", "")
                    entries.append(
                        {
                            "mediaType": kind,
                            "digest": own,
                            "size": len(body),
                            **({"artifactType": artifact} if artifact else {}),
                        }
                    )
        index = {"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": entries}
        return Answer(headers={"Content-Type": media.OCI_INDEX}, body=json.dumps(index).encode())

    def _tags(self, request: Request) -> Answer:
        """List tags, `page` at a time."""
        prefix = request.path.removesuffix("tags/list") + "manifests/"
        names = sorted(
            path.removeprefix(prefix) for path in self.content if path.startswith(prefix) and ":" not in path
        )
        last = parse_qs(request.query).get("last", [""])[0]
        rest = [name for name in names if name > last]
        headers = {}
        if len(rest) > self.page:
            headers["Link"] = f'<{request.path}?n={self.page}&last={rest[self.page - 1]}>; rel="next"'
        return Answer(headers=headers, body=json.dumps({"tags": rest[: self.page]}).encode())


def _error(status: int, code: str) -> Answer:
    return Answer(status=status, body=json.dumps({"errors": [{"code": code, "message": "as told"}]}).encode())


class _Handler(BaseHTTPRequestHandler):
    registry: FakeRegistry
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def parse_request(self) -> bool:
        """Read the header without the standard library's parser of mail, which takes most of the time of a test."""
        try:
            self.command, self.path, self.request_version = self.raw_requestline.decode().split()
        except ValueError:
            # Such as the first message of TLS.
            self.wfile.write(b"HTTP/1.0 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            self.wfile.flush()
            return False
        self.close_connection = False
        self.headers = {}
        while line := self.rfile.readline().decode("latin-1").strip():
            key, _, value = line.partition(":")
            self.headers[key] = value.strip()
        return True

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        request = Request(self.command, parts.path, parts.query, dict(self.headers.items()))
        fault = self.registry.begin(request)
        length = int(self.headers.get("Content-Length", 0))
        if fault is Fault.RESET:
            self._reset()
            return
        if fault is Fault.CUT and length:
            self.registry.keep_part(request, self.rfile.read(length // 2))
            self._reset()
            return
        answer = self.registry.reply(self.registry.with_body(request, self.rfile.read(length)), fault)
        if fault is Fault.LOST:
            self._reset()
            return
        self._send(answer, fault if self.command != "HEAD" and answer.body else None)

    do_HEAD = do_POST = do_PUT = do_PATCH = do_GET

    def _send(self, answer: Answer, fault: Fault | None) -> None:
        self.send_response_only(answer.status)
        for key, value in answer.headers.items():
            self.send_header(key, value)
        if "Content-Length" not in answer.headers and answer.status != 204:
            self.send_header("Content-Length", str(len(answer.body) if answer.length is None else answer.length))
        self.end_headers()
        if self.command != "HEAD":
            half = answer.body[: len(answer.body) // 2]
            for piece in _pieces(half if fault in {Fault.CUT, Fault.SHORT} else answer.body, fault):
                with suppress(ConnectionError):
                    self.wfile.write(piece)
                    self.wfile.flush()
        if fault is Fault.CUT:
            self._reset()
        if answer.length is not None or fault is Fault.SHORT:
            self.close_connection = True

    def _reset(self) -> None:
        """Close so that the other side gets an error instead of an end."""
        self.close_connection = True
        with suppress(OSError):
            self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # The server itself would shut the connection down first.
        os.close(self.connection.detach())

    def handle(self) -> None:
        """Serve one connection; a client that closes it early is no error."""
        try:
            super().handle()
        except ssl.SSLError:
            # Closing with unread data would discard the answer, which has the reason.
            socket.socket.shutdown(self.connection, socket.SHUT_WR)
            while socket.socket.recv(self.connection, 65536):
                pass
        except ConnectionError:
            return

    def log_message(self, *_arguments: object) -> None:
        """Log nothing: tests look at `FakeRegistry.requests`."""


def _pieces(body: bytes, fault: Fault | None) -> Iterator[bytes]:
    if fault is not Fault.DRIBBLE:
        yield body
        return
    for at in range(0, len(body), max(1, len(body) // 20)):
        yield body[at : at + max(1, len(body) // 20)]


class Patience:
    """Never waits, but remembers how long it should have."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.retry = Retry(pause=lambda _stop, seconds: self.waits.append(seconds))


def pull(registry: Registry, blobs: BlobStore, target: str = "1.0", repository: str = APP) -> Resolved:
    """Fetch all of an image."""
    found = registry.resolve(repository, target, blobs)
    registry.fetch(repository, found.image.manifest.layers, blobs)
    return found


def blob_path(image: Image, number: int = 0) -> str:
    """Where the registry serves a layer of `APP`."""
    return f"/v2/{APP}/blobs/{image.manifest.layers[number].digest}"
