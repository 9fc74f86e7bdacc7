"""One file from any web server into the blob store; redirects, sizes and addresses are checked (SECURITY C04).

The URL of the caller may be anywhere. Redirects are not trusted: only http and https, never from https to http, and
never from a public server to an address of a private network, where services trust whoever can reach them. The address
of the connection is checked, not the one that a name resolves to at another time.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import OciError, RegistryDenied, RegistryError, SizeMismatch
from pybuild.builder.oci.limits import Limits
from pybuild.builder.oci.registry.status_errors import failure
from pybuild.builder.oci.registry.wire.certificates import Tls
from pybuild.builder.oci.registry.wire.http import Reply, Timing, Transport
from pybuild.builder.oci.registry.wire.origin import Origin, is_metadata, is_private, joined, origin_of
from pybuild.builder.oci.registry.wire.retry import Retry
from pybuild.builder.oci.streams.compression import decompressing
from pybuild.builder.oci.streams.reading import PieceReader
from pybuild.builder.oci.streams.verified import pieces

# The limit of Go's HTTP client, which Docker uses.
REDIRECTS = 10
SIZE_LIMIT = 16 << 30
_REDIRECT_STATUS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True, kw_only=True)
class WebRequest:
    """A request. With *etag* or *last_modified* of an existing copy, the answer may be that it is still current.

    *authorization* is only sent to the origin of *url*; it is not part of the repr.
    """

    url: str
    etag: str = ""
    last_modified: str = ""
    authorization: str | None = field(default=None, repr=False)
    expected: Digest | None = None
    limit: int = SIZE_LIMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Downloaded:
    """The answer: the stored blob, and the validators of the server."""

    digest: Digest
    size: int
    etag: str = ""
    last_modified: str = ""


def download(
    request: WebRequest,
    blobs: BlobStore,
    progress: Callable[[int, int], None] = lambda _current, _total: None,
    retry: Retry | None = None,
    stop: threading.Event | None = None,
) -> Downloaded | None:
    """Store the file and return it; None when the copy that *request* describes is still current.

    Raises:
        RegistryUnavailable: the server still failed after all retries.
        RegistryError: it refused, or redirects to a forbidden place.
        SizeMismatch, DigestMismatch: it is too large, or not the expected content; nothing was stored.
    """
    return (retry or Retry()).run(lambda: _once(request, blobs, progress, stop or threading.Event()), stop)


def _once(
    wanted: WebRequest, blobs: BlobStore, progress: Callable[[int, int], None], stop: threading.Event
) -> Downloaded | None:
    with ExitStack() as stack:
        reply = stack.enter_context(_Journey(wanted, stack).follow())
        if reply.status == 304 and (wanted.etag or wanted.last_modified):
            return None
        if reply.status != 200:
            raise _failure(reply, f"GET {wanted.url.partition('?')[0]}")
        total = _length(reply.headers)
        if total > wanted.limit:
            raise SizeMismatch(f"{wanted.url}: {total} bytes, more than the {wanted.limit} permitted")
        with blobs.writer(wanted.expected.algorithm if wanted.expected else "sha256") as writer:
            for piece in _plain(reply, wanted.limit):
                if stop.is_set():
                    raise OciError(f"{wanted.url}: cancelled")
                writer.write(piece)
                if writer.size > wanted.limit:
                    raise SizeMismatch(f"{wanted.url}: more than the {wanted.limit} bytes permitted")
                progress(writer.size, max(total, writer.size))
            digest, size = writer.commit(wanted.expected)
    return Downloaded(
        digest=digest,
        size=size,
        etag=reply.headers.get("ETag", ""),
        last_modified=reply.headers.get("Last-Modified", ""),
    )


def _plain(reply: Reply, limit: int) -> Iterator[bytes]:
    """Yield the body without a compression of the transfer. Only gzip is removed, as by Go's client.

    The request permits none, but storage services send back the encoding that a file was uploaded with.
    """
    if reply.headers.get("Content-Encoding", "").strip().lower() != "gzip":
        return reply.pieces()
    return pieces(decompressing(PieceReader(reply.pieces()), Limits(total=limit), only_gzip=True))


class _Journey:
    """One request with its redirects; *stack* closes the connections after the body was read."""

    def __init__(self, wanted: WebRequest, stack: ExitStack) -> None:
        self._wanted = wanted
        self._first = origin_of(wanted.url)
        self._began_private = self._first.is_private
        self._own = Transport(_system_tls, Timing(), self._note)
        self._others = Transport(_system_tls, Timing(), self._check)
        stack.callback(self._own.close)
        stack.callback(self._others.close)

    def follow(self) -> Reply:
        """Return the first answer that is not a redirect."""
        url = self._wanted.url
        for _ in range(REDIRECTS + 1):
            origin = origin_of(url)
            transport = self._own if origin.host == self._first.host else self._others
            if transport is self._others and (origin.is_private or is_metadata(origin.host)):
                self._refuse(origin.host)
            reply = transport.exchange("GET", url, self._headers(origin))
            if reply.status not in _REDIRECT_STATUS:
                return reply
            reply.close()
            url = _target(url, reply)
        raise RegistryError(f"{self._wanted.url}: more than {REDIRECTS} redirects")

    def _headers(self, origin: Origin) -> Mapping[str, str]:
        wanted = self._wanted
        headers = {"Accept": "*/*"}
        if wanted.etag:
            headers["If-None-Match"] = wanted.etag
        if wanted.last_modified:
            headers["If-Modified-Since"] = wanted.last_modified
        if wanted.authorization and origin == self._first:
            headers["Authorization"] = wanted.authorization
        return headers

    def _note(self, peer: str) -> None:
        """Remember whether the server that the caller named is itself on a private network."""
        self._began_private = self._began_private or is_private(peer)

    def _check(self, peer: str) -> None:
        if is_private(peer) or is_metadata(peer):
            self._refuse(peer)

    def _refuse(self, place: str) -> None:
        if not self._began_private or is_metadata(place):
            raise RegistryError(f"{self._first} redirects to {place}, an address of a private network")


def _system_tls(_origin: Origin) -> Tls:
    """Return the TLS settings of the system: those of registries do not apply here."""
    return Tls()


def _target(url: str, reply: Reply) -> str:
    location = reply.headers.get("Location")
    if not location:
        raise RegistryError(f"{origin_of(url)} redirects without a location")
    target = joined(url, location)
    if origin_of(url).scheme == "https" and origin_of(target).scheme == "http":
        raise RegistryError(f"{origin_of(url)} redirects to {origin_of(target)}, which is not encrypted")
    return target


def _failure(reply: Reply, request: str) -> RegistryError:
    error = failure(reply, request)
    if isinstance(error, RegistryDenied):
        error.hint = "pass a token with --secret id=HTTP_AUTH_TOKEN_<host>"
    return error


def _length(headers: Mapping[str, str]) -> int:
    text = headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0
