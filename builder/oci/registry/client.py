"""Requests to one registry: authorization, and the meaning of failures (distribution-spec).

The server is not trusted more than needed: an Authorization header is sent only to the registry itself, tokens are kept
per repository, and `trust` decides which authority may get the user's credentials.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urljoin

from pybuild.builder.oci.errors import RegistryDenied, RegistryError
from pybuild.builder.oci.registry.auth.challenge import parse_challenges
from pybuild.builder.oci.registry.auth.tokens import LookUp, Scope, Tokens
from pybuild.builder.oci.registry.routes import Body, Insecure, Message, Routes
from pybuild.builder.oci.registry.status_errors import failure, printable
from pybuild.builder.oci.registry.trust import Purpose, reason_to_withhold
from pybuild.builder.oci.registry.wire.certificates import Tls
from pybuild.builder.oci.registry.wire.http import Reply, Timing
from pybuild.builder.oci.registry.wire.origin import Origin, origin_of
from pybuild.builder.oci.registry.wire.retry import RETRIED_STATUS

_RENEWALS = 3
"""How often a request renews its token: of many that share one, the last may get it when it has expired again."""

# The only form that a registry may send (distribution-spec, "Warnings").
_WARNING = '299 - "'


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request. *url* is a path below the registry's ``/v2/`` or, in a session, what a Location said."""

    method: str
    url: str
    scope: Scope
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
    expected: frozenset[int] = frozenset({200})
    """Expected statuses; any other is raised as an error."""


def _none(_origin: Origin) -> bool:
    return False


class Client:
    """Requests to one server, without retries. Thread-safe.

    The first of *origins* that speaks its protocol is used: https before plain http, where the user permits it.
    *insecure* returns whether the user permits plain http and any certificate for a server.
    """

    def __init__(
        self,
        origins: tuple[Origin, ...],
        tls: Callable[[Origin], Tls],
        timing: Timing,
        credentials: LookUp,
        insecure: Insecure = _none,
    ) -> None:
        self._credentials = credentials
        self._routes = Routes(origins, tls, timing, insecure)
        self._lock = threading.Lock()
        self._settled: tuple[Origin, Tokens] | None = None
        self._warned: dict[str, None] = {}

    @property
    def origin(self) -> Origin:
        """The origin of the server; with several candidates, they are tried first."""
        return self._settle()[0]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings of the server, and about credentials that were not sent to it, each once."""
        return (*self._warned, *filter(None, [self.withheld]))

    @property
    def withheld(self) -> str:
        """Why requested credentials were not sent; "" when they were."""
        return self._settled[1].withheld if self._settled else ""

    def close(self) -> None:
        """Close all connections."""
        self._routes.close()

    def send(self, call: Call) -> Reply:
        """Send a request and return an answer of an expected status; the caller closes it.

        An answer to HEAD has no body, so after a temporary failure GET is tried for the reason, and may succeed.

        Raises:
            RegistryUnavailable: the request may succeed later.
            RegistryDenied: the registry denies access.
            RegistryError: any other status, in its ``status``.
        """
        origin, tokens = self._settle()
        url = urljoin(f"{origin}/v2/", call.url)
        reply = self._send_authorized(call, url, tokens)
        if reply.status == 401 and reply.origin != origin and call.method in _READING:
            reply = self._as_guest(call, reply)
        self._note_warning(reply)
        if reply.status in call.expected:
            return reply
        if reply.status in RETRIED_STATUS and call.method == "HEAD":
            reply.close()
            return self.send(replace(call, method="GET"))
        error = failure(reply, f"{call.method} {_shown(url)}")
        if isinstance(error, RegistryDenied) and tokens.withheld:
            error.hint = tokens.withheld
        raise error

    def check_credentials(self) -> None:
        """Check the credentials of the user with the registry.

        Raises:
            RegistryDenied: the credentials are wrong.
            RegistryError: they must not be sent to the server that asks for them.
        """
        origin, tokens = self._settle()
        call = Call(method="GET", url="", scope=Scope())
        self.send(call).close()
        if tokens.withheld:
            raise RegistryError(tokens.withheld)
        header = None if tokens.used else tokens.own_header()
        if header is not None:
            # It permits anonymous access. One that has users anyway answers whether the credentials are right.
            message = Message(method="GET", url=f"{origin}/v2/", purpose=Purpose.TOKEN, authorization=header)
            reply = self._routes.send(message)
            if reply.status >= 400:
                raise failure(reply, f"GET {origin}/v2/")
            reply.close()

    def _send_authorized(self, call: Call, url: str, tokens: Tokens) -> Reply:
        """Send a request, again while the registry itself asks for another token."""
        ours = origin_of(url) == self.origin
        authorization = tokens.get(call.scope) if ours else None
        reply = self._routes.send(_message(call, url, authorization))
        for renewals in range(_RENEWALS):
            # A challenge of another server, after a redirect, is not for the credentials of the user.
            if reply.status != 401 or reply.origin != self.origin or not ours:
                break
            # Sending the same name and password again would not help.
            if renewals and not str(authorization).startswith("Bearer"):
                break
            reply.close()
            authorization = tokens.renew(call.scope, authorization, reply.headers.get("WWW-Authenticate", ""))
            reply = self._routes.send(_message(call, url, authorization))
        return reply

    def _as_guest(self, call: Call, reply: Reply) -> Reply:
        """Retry at the server of a redirect with an anonymous token, if it has such tokens."""
        challenge = reply.headers.get("WWW-Authenticate", "")
        if not any(found.scheme == "bearer" for found in parse_challenges(challenge)):
            return reply
        reply.close()
        guest = Tokens(reply.origin, _nobody, self._ask_authority, _no_reason)
        return self._routes.send(_message(call, reply.url, guest.renew(Scope(), None, challenge)))

    def _ask_authority(
        self, method: str, url: str, headers: Mapping[str, str], authorization: str | None, body: bytes | None = None
    ) -> Reply:
        message = Message(
            method=method, url=url, purpose=Purpose.TOKEN, headers=headers, authorization=authorization, body=body
        )
        reply = self._routes.send(message)
        if reply.status != 200:
            raise failure(reply, f"{method} {_shown(url)}")
        return reply

    def _settle(self) -> tuple[Origin, Tokens]:
        with self._lock:
            if self._settled is None:
                origin = self._routes.settle()
                # Making the tokens sends no request, so the lock is held only briefly.
                self._settled = (origin, Tokens(origin, self._credentials, self._ask_authority, self._withhold))
            return self._settled

    def _withhold(self, authority: Origin) -> str:
        """Return why an authority must not get the credentials, "" when it may."""
        routes = self._routes
        registry = routes.registry
        return reason_to_withhold(
            authority,
            registry,
            verified=routes.is_verified(registry.origin) and routes.is_verified(authority),
            insecure=routes.is_insecure(authority),
        )

    def _note_warning(self, reply: Reply) -> None:
        text = reply.headers.get("Warning", "")
        if text.startswith(_WARNING):
            self._warned.setdefault(printable(text.removeprefix(_WARNING).rstrip('"')))


_READING = frozenset({"GET", "HEAD"})


def _message(call: Call, url: str, authorization: str | None) -> Message:
    purpose = Purpose.DOWNLOAD if call.method in _READING else Purpose.UPLOAD
    return Message(
        method=call.method,
        url=url,
        purpose=purpose,
        headers=call.headers,
        authorization=authorization,
        body=call.body,
    )


def _nobody() -> None:
    """Return no credentials."""


def _no_reason(_authority: Origin) -> str:
    return ""


def _shown(url: str) -> str:
    """Return a URL for a message, without its query, which may be a secret."""
    return url.partition("?")[0]
