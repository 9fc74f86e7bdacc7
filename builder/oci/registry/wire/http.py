"""Single HTTP requests: the only module that imports requests.

Nothing is automatic here: no redirect is followed, no cookie kept, no password read from .netrc, nothing retried.
Proxies come from the usual environment variables, certificate authorities from the system (``SSL_CERT_FILE``,
``SSL_CERT_DIR``, ``REQUESTS_CA_BUNDLE``) and from what `Tls` names.
"""

import threading
import time
import zlib
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Self

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_environ_proxies

from pybuild.builder.oci.errors import RegistryUnavailable
from pybuild.builder.oci.registry.wire.body import FileBody
from pybuild.builder.oci.registry.wire.certificates import Tls, tls_context
from pybuild.builder.oci.registry.wire.connections import TellPeer, use
from pybuild.builder.oci.registry.wire.failures import failure_of, reason_of
from pybuild.builder.oci.registry.wire.origin import Origin, origin_of
from pybuild.builder.oci.streams.verified import PIECE
from pybuild.runtime.stopping import ending

# A user who turns verification off knows that; a warning for each request would hide everything else.
urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

CONNECTIONS = 8
"""Connections for each server; more than parallel transfers, so that small requests need not wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Time limits in seconds. There is none for a whole transfer, because layers are large."""

    connect: float = 10
    stall: float = 30
    """Time without a byte, before the header or in the body."""
    window: float = 60
    least: int = 64 * 1024
    """Bytes that must arrive in each *window* of waiting: a very slow server is treated like a silent one."""
    commit: float = 10e6
    """Bytes per second at which a registry must be able to verify and store an upload."""
    clock: Callable[[], float] = time.monotonic


class Reply:
    """Status, header and unread body of an answer; a context manager that returns the connection to the pool."""

    def __init__(self, response: requests.Response, origin: Origin, timing: Timing) -> None:
        self._response, self._timing = response, timing
        self.origin = origin
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self.url = response.url or ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection. Idempotent."""
        self._response.close()

    def pieces(self) -> Generator[bytes]:
        """Yield the body as it was sent, ignoring Content-Encoding, because its digest is verified.

        Raises:
            RegistryUnavailable: the connection broke, stalled, was too slow or ended early.
        """
        # read1 returns available bytes; read would block for a whole chunk, during which the clock is not checked.
        read = getattr(self._response.raw, "read1", self._response.raw.read)
        pace = _Pace(self._timing, self.origin)
        try:
            with ending(self._end):
                while piece := pace.measure(lambda: read(PIECE, decode_content=False)):
                    yield piece
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise RegistryUnavailable(f"{self.origin}: the connection broke: {reason_of(error)}") from error

    def _end(self) -> None:
        # Nothing is left to end when all was read.
        with suppress(OSError, RuntimeError, ValueError):
            self._response.raw.shutdown()

    def content(self, limit: int) -> bytes | None:
        """Return the body of a document, decompressed if it is gzip; None when it is larger than *limit*."""
        body = bytearray()
        for piece in self.pieces():
            body += piece
            if len(body) > limit:
                return None
        if self.headers.get("Content-Encoding", "").strip().lower() not in {"gzip", "x-gzip"}:
            return bytes(body)
        try:
            # 31: a window of 15 bits, and 16 for a gzip header (zlib.decompress in Python's documentation).
            plain = zlib.decompressobj(31).decompress(bytes(body), limit + 1)
        except zlib.error as error:
            raise RegistryUnavailable(f"{self.origin}: the answer is damaged: {error}") from error
        return None if len(plain) > limit else plain


class _Pace:
    """Measures the speed of a server: only the time of waiting for it counts, not our own processing."""

    def __init__(self, timing: Timing, origin: Origin) -> None:
        self._timing, self._origin = timing, origin
        self._waited, self._came = 0.0, 0

    def measure(self, read: Callable[[], bytes]) -> bytes:
        begin = self._timing.clock()
        piece = read()
        self._waited += self._timing.clock() - begin
        self._came += len(piece)
        if self._waited > self._timing.window:
            if piece and self._came < self._timing.least:
                raise RegistryUnavailable(f"{self._origin}: too slow: {self._came} bytes in {self._waited:.0f} seconds")
            self._waited, self._came = 0.0, 0
        return piece


class Transport:
    """Connections that are kept open between requests. Thread-safe.

    *peer* is called with the address of each server that is connected to, except for a proxy that the user chose.
    """

    def __init__(self, tls: Callable[[Origin], Tls], timing: Timing, peer: TellPeer | None = None) -> None:
        self._tls, self._timing, self._peer = tls, timing, peer
        self._sessions: dict[Tls | None, requests.Session] = {}
        self._lock = threading.Lock()

    def exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | FileBody | None = None
    ) -> Reply:
        """Send one request and return the answer as soon as its header has arrived.

        Raises:
            RegistryUnavailable: there was no HTTP answer.
            RegistryError: the certificate of the server is not trusted.
            OSError: *body* could not be read.
        """
        origin = origin_of(url)
        tls = self._tls(origin)
        try:
            response = self._session(tls if origin.scheme == "https" else None).request(
                method,
                url,
                headers={"User-Agent": "pybuild", "Accept-Encoding": "identity", **headers},
                data=body,
                stream=True,
                allow_redirects=False,
                timeout=(self._timing.connect, self._patience(body)),
                proxies={} if origin.is_loopback else get_environ_proxies(url),
                verify=tls.verify,
            )
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            if isinstance(body, FileBody) and body.failure is not None:
                raise body.failure from error
            raise failure_of(origin, error) from error
        return Reply(response, origin, self._timing)

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for session in self._sessions.values():
                session.close()
            self._sessions.clear()

    def _patience(self, body: bytes | FileBody | None) -> float:
        """Return the time limit for the header: a registry reads a large blob again before it answers."""
        size = 0 if body is None else len(body)
        return self._timing.stall + size / self._timing.commit

    def _session(self, tls: Tls | None) -> requests.Session:
        with self._lock:
            if tls not in self._sessions:
                self._sessions[tls] = _new_session(tls, self._peer)
            return self._sessions[tls]


def _new_session(tls: Tls | None, peer: TellPeer | None = None) -> requests.Session:
    """Return a session for https with *tls*, or for http without, where reading the authorities is not needed."""
    session = _Session()
    # Otherwise requests would send passwords of .netrc to any server that asks.
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers.clear()
    adapter = _TlsAdapter(tls) if tls else _Adapter(pool_connections=CONNECTIONS, pool_maxsize=CONNECTIONS)
    use(adapter.poolmanager, peer)
    session.mount("https://" if tls else "http://", adapter)
    return session


class _Session(requests.Session):
    """A session that ignores redirects: requests parses their targets even when it does not follow them."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - the signature of requests
        return None


class _Adapter(HTTPAdapter):
    """Connections of `connections.py`, also to a proxy, whose address is the choice of the user."""

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **options)
        if not proxy.lower().startswith("socks"):
            # Those of SOCKS speak another protocol.
            use(manager)
        return manager

    def close(self) -> None:
        # A manager that is cleared closes connections only once nothing refers to their pool, and the last reply does.
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in manager.pools.keys():  # noqa: SIM118 - it is no dictionary, and cannot be iterated
                if pool := manager.pools.get(key):
                    pool.close()
        super().close()


class _TlsAdapter(_Adapter):
    """Connections that trust the authorities of the system and those of a `Tls`."""

    def __init__(self, tls: Tls) -> None:
        self._context = tls_context(tls, default_authorities=DEFAULT_CA_BUNDLE_PATH)
        super().__init__(pool_connections=CONNECTIONS, pool_maxsize=CONNECTIONS)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, ssl_context=self._context, **options)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        return super().proxy_manager_for(proxy, ssl_context=self._context, **options)

    def cert_verify(self, *_arguments: Any) -> None:
        """Add nothing: requests would also trust a list of its own."""
