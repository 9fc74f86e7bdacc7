"""Requests to one server: redirects, authorization and the meaning of failures (distribution-spec).

The server is not trusted with more than it needs: an Authorization header goes to the registry itself and to nobody
else, tokens are kept per repository, credentials go only to an authority that belongs to the registry.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urljoin

from builder.oci.errors import InvalidImage, RegistryDenied, RegistryError, RegistryUnavailable
from builder.oci.fields import parse_object
from builder.oci.registry.body import FileBody
from builder.oci.registry.certificates import Tls
from builder.oci.registry.failures import NOT_TLS
from builder.oci.registry.http import Reply, Timing, Transport
from builder.oci.registry.origin import Origin, check_reachable, is_link_local, is_private, joined, origin_of
from builder.oci.registry.retry import RETRIED_STATUS, retry_after
from builder.oci.registry.tokens import Credentials, Scope, Tokens

REDIRECTS = 5
_RENEWALS = 3
"""How often a request asks for a newer token: of many that share one, the last may get it when it is old again."""

_REDIRECT_STATUS = frozenset({301, 302, 303, 307, 308})
_ERROR_LIMIT = 64 * 1024
_WARNING = '299 - "'

Body = bytes | FileBody


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request. *url* is a path below the registry's ``/v2/`` or, in a session, what a Location said."""

    method: str
    url: str
    scope: Scope
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
    expected: frozenset[int] = frozenset({200})
    """Statuses that are answers; any other is raised as an error."""


class Client:
    """Requests to one server, without repeating any. May be used by several threads.

    Of several *origins* the first that speaks its protocol is taken: https before plain http, where a user permits it.
    """

    def __init__(
        self,
        origins: tuple[Origin, ...],
        tls: Callable[[Origin], Tls],
        timing: Timing,
        credentials: Callable[[], Credentials | None],
    ) -> None:
        self._origins, self._credentials = origins, credentials
        self._own = Transport(tls, timing, self._note_peer)
        self._others = Transport(tls, timing, self._check_peer)
        self._private = any(origin.is_private for origin in origins)
        self._lock = threading.Lock()
        self._settled: tuple[Origin, Tokens] | None = None
        self.warnings: dict[str, None] = {}
        """What the server wants its users to know, each once."""

    @property
    def origin(self) -> Origin:
        """Where the server is; asks which of the origins answers when there are several."""
        return self._settle()[0]

    def close(self) -> None:
        """Close all connections."""
        self._own.close()
        self._others.close()

    def send(self, call: Call) -> Reply:
        """Send a request and return an answer of an expected status; the caller closes it.

        Raises:
            RegistryUnavailable: it may succeed later.
            RegistryDenied: the registry does not let us.
            RegistryError: any other status; its ``status`` tells which.
        """
        origin, tokens = self._settle()
        url = urljoin(f"{origin}/v2/", call.url)
        authorization = tokens.get(call.scope)
        reply = self._send(call, url, authorization)
        for renewals in range(_RENEWALS):
            # A name and a password do not become better by being sent again.
            if reply.status != 401 or (renewals and not str(authorization).startswith("Bearer")):
                break
            reply.close()
            authorization = tokens.renew(call.scope, authorization, reply.headers.get("WWW-Authenticate", ""))
            reply = self._send(call, url, authorization)
        self._note_warning(reply)
        if reply.status not in call.expected:
            raise failure(reply, f"{call.method} {_shown(url)}")
        return reply

    def _send(self, call: Call, url: str, authorization: str | None) -> Reply:
        if call.method in {"GET", "HEAD"}:
            return self._follow(call.method, url, call.headers, authorization)
        if origin_of(url) != self.origin:
            # A redirect of a download leads to content that is verified; an upload would just hand it out.
            raise RegistryError(f"{self.origin} wants an upload to go to {origin_of(url)}, another server")
        return self._exchange(call.method, url, call.headers, authorization, call.body)

    def _follow(self, method: str, url: str, headers: Mapping[str, str], authorization: str | None) -> Reply:
        """Send a request and follow redirects by hand; *authorization* goes to the first origin only."""
        first = origin_of(url)
        for _ in range(REDIRECTS + 1):
            own = authorization if origin_of(url) == first else None
            reply = self._exchange(method, url, headers, own)
            if reply.status not in _REDIRECT_STATUS:
                return reply
            reply.close()
            url = _target(url, reply)
        raise RegistryError(f"{first} redirects more than {REDIRECTS} times")

    def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], authorization: str | None, body: Body | None = None
    ) -> Reply:
        origin = origin_of(url)
        check_reachable(origin, self.origin)
        transport = self._own if origin.host == self.origin.host else self._others
        own = {"Authorization": authorization} if authorization else {}
        return transport.exchange(method, url, {**headers, **own}, body)

    def _ask_authority(
        self, method: str, url: str, headers: Mapping[str, str], authorization: str | None, body: bytes | None = None
    ) -> Reply:
        if method == "GET":
            reply = self._follow(method, url, headers, authorization)
        else:
            reply = self._exchange(method, url, headers, authorization, body)
        if reply.status != 200:
            raise failure(reply, f"{method} {_shown(url)}")
        return reply

    def _settle(self) -> tuple[Origin, Tokens]:
        with self._lock:
            if self._settled is None:
                origin = next(filter(self._speaks, self._origins[:-1]), self._origins[-1])
                # The tokens ask for nothing before they are used, so the lock is free again then.
                self._settled = (origin, Tokens(origin, self._credentials, self._ask_authority))
            return self._settled

    def _speaks(self, origin: Origin) -> bool:
        """Tell whether a server speaks TLS; one that closes at once does not, one that is not there might."""
        try:
            self._own.exchange("GET", f"{origin}/v2/", {}).close()
        except RegistryUnavailable:
            return False
        except RegistryError as error:
            if error.code == NOT_TLS:
                return False
            raise
        return True

    def _note_peer(self, address: str) -> None:
        """Remember whether the registry itself is on a private network, whatever its name."""
        self._private = self._private or is_private(address)

    def _check_peer(self, address: str) -> None:
        """Refuse to talk to a server of a private network that a registry of the public one has led to."""
        if is_link_local(address) or (is_private(address) and not self._private):
            raise RegistryError(f"{self.origin} leads to {address}, an address of a private network")

    def _note_warning(self, reply: Reply) -> None:
        text = reply.headers.get("Warning", "")
        if text.startswith(_WARNING):
            self.warnings.setdefault(_printable(text.removeprefix(_WARNING).rstrip('"')))


def failure(reply: Reply, request: str) -> RegistryError:
    """Return what a status other than success means, with the registry's own words. Closes the answer."""
    with reply:
        code, words = _words(reply)
    message = f"{request}: status {reply.status}" + (f": {words}" if words else "")
    if reply.status in RETRIED_STATUS:
        patience = retry_after(reply.headers.get("Retry-After"))
        return RegistryUnavailable(message, status=reply.status, retry_after=patience)
    if reply.status in {401, 403}:
        hint = "it may not exist, or you may need to log in with pybuild login"
        return RegistryDenied(message, hint=hint, status=reply.status, code=code)
    # What servers answer to plain http where they expect TLS, which is not tried on loopback.
    plain = reply.status == 400 and reply.url.startswith("http://") and not code
    hint = (
        "if it speaks TLS, name the folder with its certificate by --cert-dir, or put it into certs.d" if plain else ""
    )
    return RegistryError(message, status=reply.status, code=code, hint=hint)


def _target(url: str, reply: Reply) -> str:
    location = reply.headers.get("Location")
    if not location:
        raise RegistryError(f"{origin_of(url)} redirects without saying where to")
    return joined(url, location)


def _shown(url: str) -> str:
    """Return a URL for a message: what follows the question mark may be a secret."""
    return url.partition("?")[0]


def _words(reply: Reply) -> tuple[str, str]:
    """Return code and text of the first error of the body (distribution-spec, "Error Codes"), made harmless."""
    try:
        body = reply.content(_ERROR_LIMIT)
        errors = parse_object(body or b"{}", "error").objects("errors")
        code, message = (errors[0].text("code"), errors[0].text("message")) if errors else ("", "")
    except (InvalidImage, RegistryUnavailable):
        return "", ""
    # Programs look for Docker's spelling: "unauthorized: authentication required".
    return _printable(code), _printable(": ".join(filter(None, (code.lower().replace("_", " "), message))))


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:300]
