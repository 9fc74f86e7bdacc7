"""Authorization headers for one registry: what a challenge asks for, kept until the registry wants a new one.

Three kinds of credentials (Docker's token specification, "oauth" and "jwt"): a name and a password, for Basic or for
a token; an identity token, which is exchanged for a token; a registry token, which is one already.
"""

import base64
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlencode

from pybuild.builder.oci.errors import HelperMissing, InvalidImage, RegistryDenied, RegistryError
from pybuild.builder.oci.fields import parse_object
from pybuild.builder.oci.registry.auth.challenge import Challenge, parse_challenges
from pybuild.builder.oci.registry.wire.http import Reply
from pybuild.builder.oci.registry.wire.origin import Origin, origin_of

_TOKEN_LIMIT = 1024 * 1024
_CLIENT = "pybuild"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who asks. Nothing secret shows up in a repr."""

    username: str = ""
    password: str = field(repr=False, default="")
    identity_token: str = field(repr=False, default="")
    registry_token: str = field(repr=False, default="")

    def header(self) -> str | None:
        """Return the value of an Authorization header; None without a name and a password."""
        if not self.username or not self.password:
            return None
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


@dataclass(frozen=True, slots=True)
class Scope:
    """What is asked for: a repository and ``pull`` or ``pull,push``; and of *source*, to mount from it, ``pull``."""

    repository: str = ""
    actions: str = "pull"
    source: str = ""

    def texts(self) -> tuple[str, ...]:
        """Return the scopes as Docker's token specification writes them."""
        own = (f"repository:{self.repository}:{self.actions}",) if self.repository else ()
        return (*own, *((f"repository:{self.source}:pull",) if self.source else ()))


class Ask(Protocol):
    """Sends a request to an authority; an Authorization header goes no further than to the origin of the URL."""

    def __call__(
        self, method: str, url: str, headers: Mapping[str, str], authorization: str | None, body: bytes | None = None
    ) -> Reply:
        """Return an answer of status 200."""
        ...


LookUp = Callable[[], Credentials | None]
"""Looks for the user's credentials for one registry."""
Withhold = Callable[[Origin], str]
"""Returns why a server must not get them, "" when it may."""


class Tokens:
    """The headers for one registry, by scope. May be used by several threads: many may ask, one renews."""

    def __init__(self, registry: Origin, credentials: LookUp, ask: Ask, withhold: Withhold) -> None:
        self._registry, self._look_up, self._ask, self._withhold = registry, credentials, ask, withhold
        self._known: dict[Scope, str] = {}
        self._lock = threading.Lock()
        self.used = False
        """Whether the user's credentials were asked for, and sent."""
        self.withheld = ""
        """Why they were not sent when they were asked for; "" when they were, or when there are none."""

    def get(self, scope: Scope) -> str | None:
        """Return the header that was last good for *scope*."""
        return self._known.get(scope)

    def own_header(self) -> str | None:
        """Return the header with the user's name and password, for the registry itself; None without both."""
        found = self._credentials()
        return found.header()

    def renew(self, scope: Scope, used: str | None, challenge: str) -> str:
        """Return a header that is newer than the *used* one, as *challenge* (a WWW-Authenticate header) asks for.

        Raises:
            RegistryDenied: nothing that we have is what it wants.
            RegistryError: the challenge leads to where no request must go, or the answer is no token.
        """
        with self._lock:
            current = self._known.get(scope)
            if current is None or current == used:
                current = self._authorize(scope, parse_challenges(challenge))
                self._known[scope] = current
            return current

    def _credentials(self) -> Credentials:
        """Return what there is; a helper that is not installed keeps nothing, and what is public needs nothing."""
        try:
            return self._look_up() or Credentials()
        except HelperMissing as error:
            self.withheld = str(error)
            return Credentials()

    def _authorize(self, scope: Scope, challenges: tuple[Challenge, ...]) -> str:
        credentials = self._credentials()
        if credentials.registry_token:
            self.used = True
            return f"Bearer {_checked(credentials.registry_token, self._registry)}"
        for challenge in challenges:
            if challenge.scheme == "bearer":
                return f"Bearer {self._token(scope, challenge, credentials)}"
            header = credentials.header()
            if challenge.scheme == "basic" and header:
                self.used = True
                return header
        raise RegistryDenied(
            f"{self._registry} wants to know who asks", hint=self.withheld or "log in to it with pybuild login"
        )

    def _token(self, scope: Scope, challenge: Challenge, credentials: Credentials) -> str:
        """Ask the authority that the registry names for a token, anonymously where it must not know more."""
        realm = challenge.parameters.get("realm", "")
        authority = origin_of(realm)
        credentials = self._for_authority(authority, credentials)
        named = challenge.parameters.get("scope", "")
        query = [("service", challenge.parameters.get("service", ""))]
        query += [("scope", text) for text in scope.texts() or (named,)]
        query += [("account", credentials.username)]
        query = [(key, value) for key, value in query if value]
        if credentials.identity_token:
            reply = self._exchange_identity(realm, query, credentials)
        else:
            url = f"{realm}{'&' if '?' in realm else '?'}{urlencode(query)}"
            reply = self._ask("GET", url, {"Accept": "application/json"}, credentials.header())
        with reply:
            return _read_token(reply, authority)

    def _for_authority(self, authority: Origin, credentials: Credentials) -> Credentials:
        """Return the credentials that *authority* may have, and remember what became of them."""
        if credentials == Credentials():
            return credentials
        reason = self._withhold(authority)
        if reason:
            self.withheld = (
                f"the credentials for {self._registry.name} were not sent to {authority}, which it names for tokens: "
                f"{reason}"
            )
            return Credentials()
        self.used = True
        return credentials

    def _exchange_identity(self, realm: str, query: list[tuple[str, str]], credentials: Credentials) -> Reply:
        scopes = " ".join(value for key, value in query if key == "scope")
        form = {
            "grant_type": "refresh_token",
            "refresh_token": credentials.identity_token,
            "client_id": _CLIENT,
            **dict(query),
            "scope": scopes,
        }
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        return self._ask("POST", realm, headers, None, urlencode(form).encode())


def _read_token(reply: Reply, authority: Origin) -> str:
    body = reply.content(_TOKEN_LIMIT)
    try:
        fields = parse_object(body if body is not None else b"", "token")
        token = fields.text("token") or fields.text("access_token")
    except InvalidImage as error:
        raise RegistryError(f"{authority} answered with something that is not a token: {error}") from None
    return _checked(token, authority)


def _checked(token: str, origin: Origin) -> str:
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise RegistryError(f"{origin} answered with something that is not a token")
    return token
