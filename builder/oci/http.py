"""One HTTP exchange: the only module that imports requests.

Nothing happens here by itself: no redirect is followed, no cookie kept, no password taken from .netrc, nothing retried.
Proxies and certificate authorities come from the usual environment variables.
"""

import os
from collections.abc import Iterator, Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Self

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies

from builder.oci.errors import RegistryUnavailable
from builder.oci.origin import Origin, origin_of
from builder.oci.verified import PIECE

CONNECT_TIMEOUT = 10
STALL_TIMEOUT = 30
"""Seconds without a byte, before the header or in the body. There is no limit for the whole: layers are large."""

_CONNECTIONS = 4


class Reply:
    """Status, header and unread body of an answer; a context manager, so that the connection is given back."""

    def __init__(self, response: requests.Response, origin: Origin) -> None:
        self._response, self._origin = response, origin
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection up. Idempotent."""
        self._response.close()

    def pieces(self) -> Iterator[bytes]:
        """Yield the body as it came over the wire, whatever Content-Encoding says: its digest counts.

        Raises:
            RegistryUnavailable: the connection broke, stalled or ended early.
        """
        try:
            while piece := self._response.raw.read(PIECE, decode_content=False):
                yield piece
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise RegistryUnavailable(f"{self._origin}: the connection broke: {_reason(error)}") from error

    def content(self, limit: int) -> bytes | None:
        """Return the body of a document with its Content-Encoding undone; None when it is larger than *limit*."""
        try:
            body: bytes = self._response.raw.read(limit + 1, decode_content=True)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise RegistryUnavailable(f"{self._origin}: the connection broke: {_reason(error)}") from error
        return None if len(body) > limit else body


class Transport:
    """Connections that are kept open between requests. May be used by several threads."""

    def __init__(self) -> None:
        self._session = requests.Session()
        # Otherwise requests would send the passwords of .netrc to whoever asks.
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.headers.clear()
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, HTTPAdapter(pool_connections=_CONNECTIONS, pool_maxsize=_CONNECTIONS))

    def exchange(self, method: str, url: str, headers: Mapping[str, str]) -> Reply:
        """Send one request and return the answer as soon as its header is there.

        Raises:
            RegistryUnavailable: nothing that is HTTP came back.
        """
        origin = origin_of(url)
        try:
            response = self._session.request(
                method,
                url,
                headers={"User-Agent": "pybuild", "Accept-Encoding": "identity", **headers},
                stream=True,
                allow_redirects=False,
                timeout=(CONNECT_TIMEOUT, STALL_TIMEOUT),
                proxies={} if origin.is_loopback else get_environ_proxies(url),
                verify=os.environ.get("SSL_CERT_FILE") or os.environ.get("REQUESTS_CA_BUNDLE") or True,
            )
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise RegistryUnavailable(f"{origin}: {_reason(error)}") from error
        return Reply(response, origin)

    def close(self) -> None:
        """Close all connections."""
        self._session.close()


def _reason(error: BaseException) -> str:
    """Return the innermost cause: requests wraps what the kernel said in several layers of object addresses."""
    while inner := _cause(error):
        error = inner
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__)[:200]


def _cause(error: BaseException) -> BaseException | None:
    candidates = (getattr(error, "reason", None), *error.args, error.__cause__)
    return next((candidate for candidate in candidates if isinstance(candidate, BaseException)), None)
