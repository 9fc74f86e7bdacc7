"""HTTP with one registry: redirects, tokens and the meaning of failures (distribution-spec; Docker's token flow).

The registry is not trusted with more than it needs: an Authorization header goes to the registry itself and to nobody
else, tokens are kept per repository, credentials go only to an authority that belongs to the registry.
"""

import base64
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode, urljoin

from builder.oci.challenge import Challenge, parse_challenges
from builder.oci.errors import InvalidImage, RegistryDenied, RegistryError, RegistryUnavailable
from builder.oci.fields import parse_object
from builder.oci.http import Reply, Transport
from builder.oci.origin import Origin, check_reachable, may_have_credentials, origin_of, registry_origin
from builder.oci.retry import RETRIED_STATUS, retry_after

REDIRECTS = 5
_REDIRECT_STATUS = frozenset({301, 302, 303, 307, 308})
_TOKEN_LIMIT = 1024 * 1024
_ERROR_LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who asks. The password never shows up in a repr."""

    username: str
    password: str = field(repr=False)

    def header(self) -> str:
        """Return the value of an Authorization header."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


class Client:
    """Requests to one registry, without repeating any. May be used by several threads."""

    def __init__(self, registry: str, credentials: Credentials | None = None) -> None:
        self.origin = registry_origin(registry)
        self._credentials = credentials
        self._transport = Transport()
        self._authorizations: dict[str, str] = {}
        self._lock = threading.Lock()

    def get(self, repository: str, path: str, *, accept: str = "*/*", method: str = "GET") -> Reply:
        """Request *path* of a repository and return an answer of status 200; the caller closes it.

        Raises:
            RegistryUnavailable: it may succeed later.
            RegistryDenied: the registry does not let us.
            RegistryError: any other status; its ``status`` tells which.
        """
        url = f"{self.origin}/v2/{repository}/{path}"
        scope = f"repository:{repository}:pull"
        authorization = self._authorizations.get(scope)
        reply = self._follow(method, url, {"Accept": accept}, authorization)
        if reply.status == 401:
            authorization = self._renew(scope, authorization, reply)
            reply = self._follow(method, url, {"Accept": accept}, authorization)
        if reply.status != 200:
            raise _failure(reply, f"{method} {url}")
        return reply

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    def _follow(self, method: str, url: str, headers: Mapping[str, str], authorization: str | None) -> Reply:
        """Send a request and follow redirects by hand; *authorization* goes to the first origin only."""
        first = origin_of(url)
        for _ in range(REDIRECTS + 1):
            origin = origin_of(url)
            check_reachable(origin, self.origin)
            own = {"Authorization": authorization} if authorization and origin == first else {}
            reply = self._transport.exchange(method, url, {**headers, **own})
            if reply.status not in _REDIRECT_STATUS:
                return reply
            reply.close()
            url = _target(url, reply)
        raise RegistryError(f"{first} redirects more than {REDIRECTS} times")

    def _renew(self, scope: str, used: str | None, reply: Reply) -> str:
        """Return an Authorization header that is newer than the *used* one. Many threads may ask, one renews."""
        with reply:
            challenges = parse_challenges(reply.headers.get("WWW-Authenticate", ""))
        with self._lock:
            current = self._authorizations.get(scope)
            if current is None or current == used:
                current = self._authorize(scope, challenges)
                self._authorizations[scope] = current
            return current

    def _authorize(self, scope: str, challenges: tuple[Challenge, ...]) -> str:
        for challenge in challenges:
            if challenge.scheme == "bearer":
                return "Bearer " + self._token(scope, challenge)
            if challenge.scheme == "basic" and self._credentials:
                return self._credentials.header()
        raise RegistryDenied(f"{self.origin} wants to know who asks", hint="log in to this registry first")

    def _token(self, scope: str, challenge: Challenge) -> str:
        """Ask the authority that the registry names for a token, anonymously where it must not know more."""
        realm = challenge.parameters.get("realm", "")
        authority = origin_of(realm)
        query = {"service": challenge.parameters.get("service"), "scope": challenge.parameters.get("scope", scope)}
        url = f"{realm}{'&' if '?' in realm else '?'}{urlencode({key: value for key, value in query.items() if value})}"
        trusted = self._credentials and may_have_credentials(authority, self.origin)
        authorization = self._credentials.header() if self._credentials and trusted else None
        with self._follow("GET", url, {"Accept": "application/json"}, authorization) as reply:
            if reply.status != 200:
                raise _failure(reply, f"GET {realm}")
            return _read_token(reply, authority)


def _target(url: str, reply: Reply) -> str:
    location = reply.headers.get("Location")
    if not location:
        raise RegistryError(f"{origin_of(url)} redirects without saying where to")
    return urljoin(url, location)


def _read_token(reply: Reply, authority: Origin) -> str:
    body = reply.content(_TOKEN_LIMIT)
    try:
        fields = parse_object(body if body is not None else b"", "token")
        token = fields.text("token") or fields.text("access_token")
    except InvalidImage as error:
        raise RegistryError(f"{authority} answered with something that is not a token: {error}") from None
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise RegistryError(f"{authority} answered with something that is not a token")
    return token


def _failure(reply: Reply, request: str) -> RegistryError:
    """Return what a status other than success means, with the registry's own words."""
    with reply:
        words = _words(reply)
    message = f"{request}: status {reply.status}" + (f": {words}" if words else "")
    if reply.status in RETRIED_STATUS:
        return RegistryUnavailable(message, retry_after=retry_after(reply.headers.get("Retry-After")))
    if reply.status in {401, 403}:
        return RegistryDenied(message, hint="the image may not exist, or you may need to log in to this registry")
    return RegistryError(message, status=reply.status)


def _words(reply: Reply) -> str:
    """Return the first error of the body (distribution-spec, "Error Codes"), made harmless; empty when it has none."""
    try:
        body = reply.content(_ERROR_LIMIT)
        errors = parse_object(body or b"{}", "error").objects("errors")
        text = ": ".join(filter(None, (errors[0].text("code"), errors[0].text("message")))) if errors else ""
    except (InvalidImage, RegistryUnavailable):
        return ""
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:300]
