"""Requests to one registry: authorization, and the meaning of failures (distribution-spec).

The server is not trusted with more than it needs: an Authorization header goes to the registry itself and to nobody
else, tokens are kept per repository, and `trust` says to which authority the user's credentials may go.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urljoin

from pybuild.builder.oci.errors import RegistryDenied, RegistryError
from pybuild.builder.oci.registry.auth.challenge import parse_challenges
from pybuild.builder.oci.registry.auth.tokens import LookUp, Scope, Tokens
from pybuild.builder.oci.registry.reasons import failure, printable
from pybuild.builder.oci.registry.routes import Body, Insecure, Message, Routes
from pybuild.builder.oci.registry.trust import Purpose, reason_to_withhold
from pybuild.builder.oci.registry.wire.certificates import Tls
from pybuild.builder.oci.registry.wire.http import Reply, Timing
from pybuild.builder.oci.registry.wire.origin import Origin, origin_of
from pybuild.builder.oci.registry.wire.retry import RETRIED_STATUS

_RENEWALS = 3
"""How often a request asks for a newer token: of many that share one, the last may get it when it is old again."""

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
    """Statuses that are answers; any other is raised as an error."""


def _none(_origin: Origin) -> bool:
    return False


class Client:
    """Requests to one server, without repeating any. May be used by several threads.

    Of several *origins* the first that speaks its protocol is taken: https before plain http, where a user permits it.
    *insecure* tells of which servers the user says that they may be plain or have any certificate.
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
        """Where the server is; asks which of the origins answers when there are several."""
        return self._settle()[0]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the server wants its users to know, and what was kept from it, each once."""
        return (*self._warned, *filter(None, [self.withheld]))

    @property
    def withheld(self) -> str:
        """Why the user's credentials were not used when somebody asked for them; "" when they were."""
        return self._settled[1].withheld if self._settled else ""

    def close(self) -> None:
        """Close all connections."""
        self._routes.close()

    def send(self, call: Call) -> Reply:
        """Send a request and return an answer of an expected status; the caller closes it.

        An answer to HEAD has no body, so where it fails for a while GET is asked for the reason, and may succeed.

        Raises:
            RegistryUnavailable: it may succeed later.
            RegistryDenied: the registry does not let us.
            RegistryError: any other status; its ``status`` tells which.
        """
        origin, tokens = self._settle()
        url = urljoin(f"{origin}/v2/", call.url)
        reply = self._authorized(call, url, tokens)
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
        """Ask for nothing but to be let in, as the user.

        Raises:
            RegistryDenied: the credentials are not the right ones.
            RegistryError: they must not be sent to the server that wants them.
        """
        origin, tokens = self._settle()
        call = Call(method="GET", url="", scope=Scope())
        self.send(call).close()
        if tokens.withheld:
            raise RegistryError(tokens.withheld)
        header = None if tokens.used else tokens.own_header()
        if header is not None:
            # It lets anybody in. One that knows its users all the same tells whether this is one of them.
            message = Message(method="GET", url=f"{origin}/v2/", purpose=Purpose.TOKEN, authorization=header)
            reply = self._routes.send(message)
            if reply.status >= 400:
                raise failure(reply, f"GET {origin}/v2/")
            reply.close()

    def _authorized(self, call: Call, url: str, tokens: Tokens) -> Reply:
        """Send a request as often as the registry itself wants another token for it."""
        ours = origin_of(url) == self.origin
        authorization = tokens.get(call.scope) if ours else None
        reply = self._routes.send(_message(call, url, authorization))
        for renewals in range(_RENEWALS):
            # The challenge of a server that the registry has led to is not about the user.
            if reply.status != 401 or reply.origin != self.origin or not ours:
                break
            # A name and a password do not become better by being sent again.
            if renewals and not str(authorization).startswith("Bearer"):
                break
            reply.close()
            authorization = tokens.renew(call.scope, authorization, reply.headers.get("WWW-Authenticate", ""))
            reply = self._routes.send(_message(call, url, authorization))
        return reply

    def _as_guest(self, call: Call, reply: Reply) -> Reply:
        """Go on at another server with a token that it gives to anybody, if it has such tokens."""
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
                # The tokens ask for nothing before they are used, so the lock is free again then.
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
    """Return a URL for a message: what follows the question mark may be a secret."""
    return url.partition("?")[0]
