"""A web server in this process, on a loopback port: files that a test puts in, answers that it scripts.

with Web() as web:
    web.files["/a.txt"] = b"content"
    web.answers["/b"] = Answer(status=302, headers={"Location": "/a.txt"})
    web.repositories = directory                 # bare repositories below it, served by git itself under /git/
    ... web.url("/a.txt") ...
    assert web.requests[0].headers["If-None-Match"] == ...
"""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from tests.helpers.serving import Serving

MTIME = 1234567890


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What to send. With *length* other than that of the body, the connection is closed after the body; a negative one is not sent."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    length: int | None = None


@dataclass(frozen=True)
class Asked:
    """What came in."""

    method: str
    path: str
    headers: Mapping[str, str]


class Web(Serving):
    """Files with an ETag and a time, and everything that was asked."""

    def __init__(self, address: str = "127.0.0.1", repositories: Path | None = None) -> None:
        self.files: dict[str, bytes] = {}
        self.answers: dict[str, Answer] = {}
        self.requests: list[Asked] = []
        self.repositories = repositories
        handler = type("Handler", (_Handler,), {"web": self})
        server = ThreadingHTTPServer((address, 0), handler)
        server.daemon_threads = False
        super().__init__(server)
        self.address, self.port = address, server.server_port

    def url(self, path: str) -> str:
        """The address of *path*."""
        return f"http://{self.address}:{self.port}{path}"

    def taken(self) -> list[Asked]:
        """What was asked since the last time."""
        requests, self.requests = self.requests, []
        return requests


class _Handler(BaseHTTPRequestHandler):
    web: Web

    def do_GET(self) -> None:
        self.web.requests.append(Asked("GET", self.path, dict(self.headers)))
        path = urlsplit(self.path).path
        if path in self.web.answers:
            self._send(self.web.answers[path])
        elif path in self.web.files:
            self._file(self.web.files[path])
        elif path.startswith("/git/"):
            self._git(b"")
        else:
            self._send(Answer(status=404))

    def do_POST(self) -> None:
        self.web.requests.append(Asked("POST", self.path, dict(self.headers)))
        self._git(self.rfile.read(int(self.headers.get("Content-Length", "0"))))

    def _file(self, content: bytes) -> None:
        tag = f'"{hash(content)}"'
        headers = {"ETag": tag, "Last-Modified": formatdate(MTIME, usegmt=True)}
        if self.headers.get("If-None-Match") == tag:
            self._send(Answer(status=304, headers=headers))
        else:
            self._send(Answer(headers=headers, body=content))

    def _git(self, body: bytes) -> None:
        """Let git's own CGI program answer."""
        address = urlsplit(self.path)
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": os.fspath(self.web.repositories or "/nonexistent"),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "PATH_INFO": address.path.removeprefix("/git"),
            "QUERY_STRING": address.query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
        }
        command = ["git", "http-backend"]
        done = subprocess.run(command, input=body, env=environment, capture_output=True, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        status = int(fields.pop("Status", "200").split()[0])
        self._send(Answer(status=status, headers=fields, body=content))

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        length = len(answer.body) if answer.length is None else answer.length
        if answer.status != 304 and length >= 0:
            self.send_header("Content-Length", str(length))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""
