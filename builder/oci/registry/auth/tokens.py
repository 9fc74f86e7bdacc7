"""Authorization headers for one registry, as a challenge asks for them, kept until a new one is needed.

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
from pybuild.builder.oci.json_documents import parse_object
from pybuild.builder.oci.registry.auth.challenge import Challenge, parse_challenges
from pybuild.builder.oci.registry.wire.http import Reply
from pybuild.builder.oci.registry.wire.origin import Origin, origin_of

_TOKEN_LIMIT = 1024 * 1024
_CLIENT = "pybuild"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Credentials of a user. The repr has no secrets."""

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
    """A scope: a repository and ``pull`` or ``pull,push``; and ``pull`` of *source*, to mount from it."""

    repository: str = ""
    actions: str = "pull"
    source: str = ""

    def texts(self) -> tuple[str, ...]:
        """Return the scopes as Docker's token specification writes them."""
        own = (f"repository:{self.repository}:{self.actions}",) if self.repository else ()
        return (*own, *((f"repository:{self.source}:pull",) if self.source else ()))


class Ask(Protocol):
    """Sends a request to an authority; an Authorization header is sent only to the origin of the URL."""

    def __call__(
        self, method: str, url: str, headers: Mapping[str, str], authorization: str | None, body: bytes | None = None
    ) -> Reply:
        """Return an answer of status 200."""
        ...


LookUp = Callable[[], Credentials | None]
"""Finds the user's credentials for one registry."""
Withhold = Callable[[Origin], str]
"""Returns why a server must not get the credentials, "" when it may."""


class Tokens:
    """The headers for one registry, by scope. Thread-safe: only one thread renews a token."""

    def __init__(self, registry: Origin, credentials: LookUp, ask: Ask, withhold: Withhold) -> None:
        self._registry, self._look_up, self._ask, self._withhold = registry, credentials, ask, withhold
        self._known: dict[Scope, str] = {}
        self._lock = threading.Lock()
        self.used = False
        """Whether the user's credentials were requested and sent."""
        self.withheld = ""
        """Why requested credentials were not sent; "" when they were, or when there are none."""

    def get(self, scope: Scope) -> str | None:
        """Return the latest header for *scope*."""
        return self._known.get(scope)

    def own_header(self) -> str | None:
        """Return the header with the user's name and password, for the registry itself; None without both."""
        found = self._credentials()
        return found.header()

    def renew(self, scope: Scope, used: str | None, challenge: str) -> str:
        """Return a header that is newer than the *used* one, as *challenge* (a WWW-Authenticate header) asks for.

        Raises:
            RegistryDenied: there are no credentials of the requested kind.
            RegistryError: the challenge names a server that must not be used, or its answer is not a token.
        """
        with self._lock:
            current = self._known.get(scope)
            # Otherwise another thread has renewed it while this one waited for the lock.
            if current is None or current == used:
                refused = bool(current) and str(current).startswith("Bearer")
                current = self._authorize(scope, parse_challenges(challenge), refused=refused)
                self._known[scope] = current
            return current

    def _credentials(self) -> Credentials:
        """Return the credentials, if any. A missing helper is no error here, as public images need no credentials."""
        try:
            return self._look_up() or Credentials()
        except HelperMissing as error:
            self.withheld = str(error)
            return Credentials()

    def _authorize(self, scope: Scope, challenges: tuple[Challenge, ...], *, refused: bool) -> str:
        credentials = self._credentials()
        if credentials.registry_token:
            self.used = True
            return f"Bearer {_checked(credentials.registry_token, self._registry)}"
        for challenge in challenges:
            if challenge.scheme == "bearer":
                return f"Bearer {self._ask_for_token(scope, challenge, credentials, refused=refused)}"
            header = credentials.header()
            if challenge.scheme == "basic" and header:
                self.used = True
                return header
        raise RegistryDenied(
            f"{self._registry} requires authentication", hint=self.withheld or "log in to it with pybuild login"
        )

    def _ask_for_token(self, scope: Scope, challenge: Challenge, credentials: Credentials, *, refused: bool) -> str:
        """Ask the authority that the registry names for a token; anonymously, if it must not get the credentials.

        When a token was *refused*, the scope of the challenge is asked for as well: a registry that shows a repository
        of another one under its own name may want rights to the inner one.
        """
        realm = challenge.parameters.get("realm", "")
        authority = origin_of(realm)
        credentials = self._for_authority(authority, credentials)
        named = challenge.parameters.get("scope", "").split()
        query = [("service", challenge.parameters.get("service", ""))]
        own = scope.texts()
        query += [("scope", text) for text in dict.fromkeys((*own, *(named if refused or not own else ())))]
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
        """Return the credentials if *authority* may get them, and remember whether it did."""
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
