"""The cache service of GitHub Actions in this process, both versions, as its clients describe it.

Entries belong to a branch and are never changed. A token names branches and permissions; who asks finds an entry by
the beginning of its key, in the version that it names, the newest first, in one of its branches after the other. The
content goes to and comes from signed addresses, where a bearer token is refused; of version 2 they speak the dialect
of Azure's blob storage.
"""

import base64
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree as ET

from tests.helpers.serving import Serving

_TWIRP = "/twirp/github.actions.results.api.v1.CacheService/"
_REST = "/_apis/artifactcache/"


def token(*scopes: tuple[str, int]) -> str:
    """A token of a job that may read (1) or write (2) entries of these branches; nobody checks its signature."""
    claims = {"ac": json.dumps([{"Scope": scope, "Permission": permission} for scope, permission in scopes])}
    parts = [json.dumps(part).encode() for part in ({"alg": "none"}, claims)]
    return ".".join([*(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts), "signature"])


@dataclass(kw_only=True)
class Stored:
    """An entry; it can be found when it is *complete*."""

    branch: str
    key: str
    version: str
    number: int
    content: bytearray = field(default_factory=bytearray)
    blocks: dict[str, bytes] = field(default_factory=dict)
    complete: bool = False


class GhaServer(Serving):
    """The service, while the block runs. *failures* are statuses that the next requests get instead of an answer."""

    def __init__(self) -> None:
        self.entries: list[Stored] = []
        self.requests: list[tuple[str, str]] = []
        self.failures: list[int] = []
        self.lock = threading.Lock()
        self._numbers = count(1)
        handler = type("Handler", (_Handler,), {"service": self})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = False
        super().__init__(server)
        self._port = server.server_port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/"

    def environment(self, version: int, *scopes: tuple[str, int]) -> tuple[tuple[str, str], ...]:
        """What a runner gives to a job."""
        common = (("ACTIONS_RUNTIME_TOKEN", token(*scopes or (("refs/heads/main", 3),))),)
        if version == 1:
            return (("ACTIONS_CACHE_URL", self.url), *common)
        return (("ACTIONS_RESULTS_URL", self.url), ("ACTIONS_CACHE_SERVICE_V2", "True"), *common)

    def complete(self) -> list[str]:
        """The keys of all complete entries."""
        return [entry.key for entry in self.entries if entry.complete]

    def reserve(self, branch: str, key: str, version: str) -> Stored | None:
        """A new entry, None when there is one."""
        with self.lock:
            if any((e.branch, e.key, e.version) == (branch, key, version) for e in self.entries):
                return None
            self.entries.append(Stored(branch=branch, key=key, version=version, number=next(self._numbers)))
            return self.entries[-1]

    def find(self, scopes: Mapping[str, int], prefix: str, version: str) -> Stored | None:
        """The newest entry in the first branch that has one."""
        for branch in scopes:
            for entry in reversed(self.entries):
                fits = entry.complete and (entry.branch, entry.version) == (branch, version)
                if fits and entry.key.startswith(prefix):
                    return entry
        return None

    def numbered(self, number: int) -> Stored:
        return next(entry for entry in self.entries if entry.number == number)


class _Handler(BaseHTTPRequestHandler):
    service: GhaServer
    timeout = 10

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_PUT = do_PATCH = do_GET

    def _answer(self) -> None:
        body = self._body()
        path = urlsplit(self.path).path
        self.service.requests.append((self.command, path))
        if self.service.failures:
            self._send(self.service.failures.pop(0), headers={"Retry-After": "0"})
        elif path.startswith("/signed/"):
            self._signed(path, body)
        elif len(self.headers.get("Authorization", "").split()) != 2:
            self._send(401, {"code": "unauthenticated", "msg": "who are you?"})
        elif path.startswith(_TWIRP) and self.command == "POST":
            self._twirp(path.removeprefix(_TWIRP), json.loads(body))
        elif path.startswith(_REST):
            self._rest(path.removeprefix(_REST), body)
        else:
            self._send(404, {})

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            self.send_error(411)
            return b""
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    @property
    def _scopes(self) -> dict[str, int]:
        payload = self.headers["Authorization"].split()[1].split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return {item["Scope"]: item["Permission"] for item in json.loads(claims["ac"])}

    def _new(self, asked: Mapping[str, Any]) -> Stored | None:
        """The entry that a token may write: in the last of its branches with that permission."""
        branch = [scope for scope, permission in self._scopes.items() if permission & 2][-1]
        return self.service.reserve(branch, asked["key"], asked["version"])

    def _twirp(self, name: str, asked: dict[str, Any]) -> None:
        match name:
            case "CreateCacheEntry":
                entry = self._new(asked)
                if entry is None:
                    self._send(409, {"code": "already_exists", "msg": "cache entry with the same key exists"})
                else:
                    self._send(200, {"ok": True, "signed_upload_url": self._address(entry, "w")})
            case "FinalizeCacheEntryUpload":
                entry = next(e for e in self.service.entries if (e.key, e.version) == (asked["key"], asked["version"]))
                entry.complete = len(entry.content) == asked["size_bytes"]
                self._send(200, {"ok": entry.complete, "entry_id": str(entry.number)})
            case "GetCacheEntryDownloadURL":
                prefixes = [asked["key"], *asked.get("restore_keys", [])]
                found = next((e for p in prefixes if (e := self.service.find(self._scopes, p, asked["version"]))), None)
                told = {"signed_download_url": self._address(found, "r"), "matched_key": found.key} if found else {}
                self._send(200, {"ok": found is not None, **told})
            case _:
                self._send(404, {"code": "bad_route", "msg": name})

    def _address(self, entry: Stored, permission: str) -> str:
        return f"{self.service.url}signed/{entry.number}?sp={permission}&sig=SECRET"

    def _rest(self, name: str, body: bytes) -> None:
        if "application/json;api-version=" not in self.headers.get("Accept", ""):
            self._send(400, {"message": "no version"})
        elif name == "cache":
            query = parse_qs(urlsplit(self.path).query)
            found = self.service.find(self._scopes, query["keys"][0].split(",")[0], query["version"][0])
            if found is None:
                self._send(204)
            else:
                self._send(200, {"cacheKey": found.key, "archiveLocation": self._address(found, "r")})
        elif name == "caches":
            entry = self._new(json.loads(body))
            if entry is None:
                exists = {"typeKey": "ArtifactCacheItemAlreadyExistsException", "message": "Cache already exists."}
                self._send(409, exists)
            else:
                self._send(201, {"cacheId": entry.number})
        else:
            self._range(self.service.numbered(int(name.removeprefix("caches/"))), body)

    def _range(self, entry: Stored, body: bytes) -> None:
        if self.command == "PATCH":
            first, _, last = self.headers["Content-Range"].removeprefix("bytes ").removesuffix("/*").partition("-")
            assert int(last) - int(first) + 1 == len(body)
            entry.content[int(first) : int(last) + 1] = body
            self._send(204)
        else:
            entry.complete = len(entry.content) == json.loads(body)["size"]
            self._send(204 if entry.complete else 400)

    def _signed(self, path: str, body: bytes) -> None:
        query = {key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()}
        entry = self.service.numbered(int(path.removeprefix("/signed/")))
        wanted = "r" if self.command == "GET" else "w"
        if self.headers.get("Authorization") or (query.get("sig"), query.get("sp")) != ("SECRET", wanted):
            self._send(403)
        elif self.command == "GET":
            self._send(200, bytes(entry.content))
        else:
            self._azure(entry, query, body)

    def _azure(self, entry: Stored, query: Mapping[str, str], body: bytes) -> None:
        match query.get("comp"):
            case "block":
                entry.blocks[query["blockid"]] = body
                self._send(201)
            case "blocklist":
                names = [item.text or "" for item in ET.fromstring(body)]
                entry.content[:] = b"".join(entry.blocks[name] for name in names)
                self._send(201)
            case _:
                assert self.headers["x-ms-blob-type"] == "BlockBlob"
                entry.content[:] = body
                self._send(201)

    def _send(self, status: int, answer: object = None, headers: Mapping[str, str] | None = None) -> None:
        body = answer if isinstance(answer, bytes) else b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""
