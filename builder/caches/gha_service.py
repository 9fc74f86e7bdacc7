"""The cache service of GitHub Actions: entries under keys, each written once.

Version 2 answers Twirp calls below ``ACTIONS_RESULTS_URL`` and keeps the content in Azure's blob storage, at signed
URLs; version 1 has a REST API below ``ACTIONS_CACHE_URL``. Both look up a key by its prefix and answer with the newest
entry. No signed URL is ever part of a message.
"""

import base64
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Protocol
from urllib.parse import urlencode

from pybuild.builder.oci.errors import OciError, RegistryDenied, RegistryError, RegistryUnavailable
from pybuild.builder.oci.registry.wire.body import FileBody
from pybuild.builder.oci.registry.wire.certificates import Tls
from pybuild.builder.oci.registry.wire.http import Reply, Timing, Transport
from pybuild.builder.oci.registry.wire.origin import origin_of
from pybuild.builder.oci.registry.wire.retry import RETRIED_STATUS, Retry, retry_after

BLOCK = 32 << 20
"""Bytes of one request, which is repeated as a whole when it fails."""

_ANSWER_LIMIT = 32 << 10
_VERSION = hashlib.sha256(b"pybuild cache 1").hexdigest()
"""The version of our entries: entries that other tools write under the same key are never found."""
_TWIRP = "twirp/github.actions.results.api.v1.CacheService/"
_REST = "/_apis/artifactcache/"
_JSON = {"Content-Type": "application/json"}
_AZURE = {"x-ms-version": "2020-10-02"}


class AlreadyThere(OciError):
    """An entry with this key exists, or is being written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The bytes of a new entry; *sent* is called with the number of bytes that were sent."""

    file: BinaryIO
    size: int
    sent: Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundEntry:
    """An entry that was found, with its signed URL."""

    key: str
    url: str = field(repr=False)


class Service(Protocol):
    """The operations of both versions. Failures are OciError; those of the network are retried."""

    def find(self, key: str) -> FoundEntry | None:
        """Return the newest entry whose key begins with *key*."""
        ...

    def save(self, key: str, content: Content) -> None:
        """Write an entry. Raises AlreadyThere."""
        ...


class Wire:
    """Requests with retries until a deadline. Thread-safe."""

    def __init__(self, token: str, seconds: float, retry: Retry | None = None) -> None:
        self._headers = {"Authorization": f"Bearer {token}"}
        self._end = time.monotonic() + seconds
        self._seconds = seconds
        self._retry = retry or Retry(budget=seconds)
        self._transport = Transport(lambda _origin: Tls(), Timing())

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    def check(self) -> None:
        """Raise RegistryError when the time is over."""
        if time.monotonic() > self._end:
            raise RegistryError(f"not finished after {self._seconds:g} seconds", hint="set a longer one with timeout=")

    def call(self, method: str, url: str, headers: Mapping[str, str], body: object = None) -> dict[str, Any]:
        """Send a request and return the answer, a JSON object; {} for an empty one."""
        data = None if body is None else json.dumps(body).encode()
        return self.ask(method, url, {**self._headers, **headers}, lambda: data)

    def send(self, method: str, url: str, headers: Mapping[str, str], part: tuple[Content, int, int]) -> None:
        """Send bytes of a file: (content, offset, size). The token is not sent unless *headers* have it."""
        content, offset, size = part

        def sent(count: int) -> None:
            self.check()
            content.sent(count)

        self.ask(method, url, headers, lambda: FileBody(file=content.file, offset=offset, size=size, sent=sent))

    @property
    def authorization(self) -> Mapping[str, str]:
        """The header that authenticates requests."""
        return self._headers

    def ask(
        self, method: str, url: str, headers: Mapping[str, str], body: Callable[[], bytes | FileBody | None]
    ) -> dict[str, Any]:
        """Send a request until it is answered; *body* is called for each attempt."""

        def once() -> dict[str, Any]:
            self.check()
            with self._transport.exchange(method, url, headers, body()) as reply:
                raw = reply.content(_ANSWER_LIMIT) or b""
                if not 200 <= reply.status < 300:
                    raise _failure(reply, raw)
                return _object(raw) if raw.lstrip()[:1] == b"{" else {}

        return self._retry.run(once)

    @contextmanager
    def reading(self, url: str) -> Iterator[Iterator[bytes]]:
        """Yield the content of a signed URL in chunks. Not retried here."""
        with self._transport.exchange("GET", url, {}) as reply:
            if reply.status != 200:
                raise _failure(reply, b"")
            yield self._timely(reply)

    def retry(self, action: Callable[[], None]) -> None:
        """Repeat *action* until it does not fail because of the network."""
        self._retry.run(action)

    def _timely(self, reply: Reply) -> Iterator[bytes]:
        for piece in reply.pieces():
            self.check()
            yield piece


class ServiceV2:
    """Twirp, and content in Azure's blob storage."""

    def __init__(self, url: str, wire: Wire) -> None:
        self._url, self._wire = url.rstrip("/") + "/" + _TWIRP, wire

    def find(self, key: str) -> FoundEntry | None:
        """Return the newest entry whose key begins with *key*."""
        found = self._call("GetCacheEntryDownloadURL", {"key": key, "restore_keys": [key], "version": _VERSION})
        if not found.get("ok"):
            return None
        return FoundEntry(key=_text(found, "matched_key"), url=_text(found, "signed_download_url"))

    def save(self, key: str, content: Content) -> None:
        """Write an entry. Raises AlreadyThere."""
        made = self._call("CreateCacheEntry", {"key": key, "version": _VERSION})
        if not made.get("ok"):
            raise AlreadyThere(f"{key}: the service refuses it")
        self._upload(_text(made, "signed_upload_url"), content)
        wanted = {"key": key, "version": _VERSION, "size_bytes": content.size}
        if not self._call("FinalizeCacheEntryUpload", wanted).get("ok"):
            raise RegistryError(f"{key}: the service did not commit the upload")

    def _call(self, name: str, body: Mapping[str, object]) -> dict[str, Any]:
        return self._wire.call("POST", self._url + name, _JSON, body)

    def _upload(self, url: str, content: Content) -> None:
        """Put a block blob: in one request, or in blocks and the list of them."""
        if content.size <= BLOCK:
            self._wire.send("PUT", url, {**_AZURE, "x-ms-blob-type": "BlockBlob"}, (content, 0, content.size))
            return
        names = []
        for offset in range(0, content.size, BLOCK):
            # Azure requires all names of blocks to have the same length.
            names.append(base64.b64encode(b"%012d" % offset).decode())
            address = _with(url, comp="block", blockid=names[-1])
            self._wire.send("PUT", address, _AZURE, (content, offset, min(BLOCK, content.size - offset)))
        listed = "".join(f"<Latest>{name}</Latest>" for name in names)
        body = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{listed}</BlockList>'.encode()
        self._wire.ask("PUT", _with(url, comp="blocklist"), {**_AZURE, "Content-Type": "application/xml"}, lambda: body)


def _with(url: str, **query: str) -> str:
    """Add to the query of a URL; a signed URL has one already."""
    return f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"


class ServiceV1:
    """REST: reserve, send ranges, commit."""

    def __init__(self, url: str, wire: Wire) -> None:
        self._url, self._wire = url.rstrip("/") + _REST, wire
        self._accept = {"Accept": "application/json;api-version=6.0-preview.1"}

    def find(self, key: str) -> FoundEntry | None:
        """Return the newest entry whose key begins with *key*."""
        query = urlencode({"keys": key, "version": _VERSION})
        found = self._wire.call("GET", f"{self._url}cache?{query}", self._accept)
        if not found.get("cacheKey"):
            return None
        return FoundEntry(key=_text(found, "cacheKey"), url=_text(found, "archiveLocation"))

    def save(self, key: str, content: Content) -> None:
        """Write an entry. Raises AlreadyThere."""
        headers = {**self._accept, **_JSON}
        made = self._wire.call("POST", f"{self._url}caches", headers, {"key": key, "version": _VERSION})
        number = made.get("cacheId")
        if type(number) is not int:
            raise RegistryError(f"{key}: the service returned no number for the new entry")
        place = f"{self._url}caches/{number}"
        for offset in range(0, content.size, BLOCK):
            size = min(BLOCK, content.size - offset)
            span = {
                **self._accept,
                **self._wire.authorization,
                "Content-Type": "application/octet-stream",
                "Content-Range": f"bytes {offset}-{offset + size - 1}/*",
            }
            self._wire.send("PATCH", place, span, (content, offset, size))
        self._wire.call("POST", place, headers, {"size": content.size})


def _failure(reply: Reply, raw: bytes) -> OciError:
    answer = _object(raw) if raw.lstrip()[:1] == b"{" else {}
    text = next((str(answer[key]) for key in ("msg", "message", "code") if answer.get(key)), "")
    message = f"{origin_of(reply.url)}: status {reply.status}" + (f": {text[:300]}" if text else "")
    exists = "AlreadyExists" in str(answer.get("typeKey")) or answer.get("code") == "already_exists"
    if exists or reply.status == 409:
        return AlreadyThere(message)
    if reply.status in RETRIED_STATUS:
        return RegistryUnavailable(message, retry_after=retry_after(reply.headers.get("Retry-After")))
    if reply.status in {401, 403}:
        return RegistryDenied(message, hint="the token of a job, ACTIONS_RUNTIME_TOKEN, ends with the job")
    return RegistryError(message, status=reply.status)


def _object(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except ValueError as error:
        raise RegistryError("the answer of the cache service is not JSON") from error
    return found if isinstance(found, dict) else {}


def _text(found: Mapping[str, Any], key: str) -> str:
    value = found.get(key)
    if not isinstance(value, str) or not value:
        raise RegistryError(f"the answer of the cache service has no {key}")
    return value
