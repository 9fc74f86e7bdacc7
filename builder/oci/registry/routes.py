"""Requests to one registry and to the servers that it redirects to.

Redirects are followed here, not by the HTTP library: an Authorization header is only sent to the origin that it is for,
and before anything is sent to another server, its name and the address of the connection are checked by `trust`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from pybuild.builder.oci.errors import RegistryError, RegistryUnavailable
from pybuild.builder.oci.registry.trust import Purpose, Standing, check_peer, check_reachable
from pybuild.builder.oci.registry.wire.body import FileBody
from pybuild.builder.oci.registry.wire.certificates import Tls
from pybuild.builder.oci.registry.wire.failures import NO_CONNECTION, NOT_TLS
from pybuild.builder.oci.registry.wire.http import Reply, Timing, Transport
from pybuild.builder.oci.registry.wire.origin import Origin, is_private, joined, origin_of

REDIRECTS = 5
_REDIRECT_STATUS = frozenset({301, 302, 303, 307, 308})
# 303 asks for a GET instead, so it cannot redirect an upload.
_REPEATED_STATUS = _REDIRECT_STATUS - {303}

Body = bytes | FileBody


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A request. *authorization* is sent only to the origin of *url*."""

    method: str
    url: str
    purpose: Purpose
    headers: Mapping[str, str] = field(default_factory=dict)
    authorization: str | None = field(default=None, repr=False)
    body: Body | None = None


class Routes:
    """The candidate origins of a registry, of which the first that speaks its protocol is used. Thread-safe.

    *insecure* returns whether the user permits plain http and any certificate for a server other than the registry.
    """

    def __init__(
        self, origins: tuple[Origin, ...], tls: Callable[[Origin], Tls], timing: Timing, insecure: "Insecure"
    ) -> None:
        self._origins, self._tls, self._insecure = origins, tls, insecure
        # The registry may be at any address that the user names; servers that it names are checked by `trust`.
        self._own = Transport(self._tls_for, timing, self._note_peer)
        self._others = Transport(self._tls_for, timing, self._check_peer)
        # Only a registry that may use plain http has several origins.
        doubtful = len(origins) > 1 or insecure(origins[0])
        self._registry = Standing(origin=origins[-1], insecure=doubtful)

    @property
    def registry(self) -> Standing:
        """The facts about the registry so far."""
        return self._registry

    def settle(self) -> Origin:
        """Find the origin that answers, https before plain http."""
        origin = next(filter(self._speaks, self._origins[:-1]), self._origins[-1])
        self._registry = replace(self._registry, origin=origin)
        return origin

    def close(self) -> None:
        """Close all connections."""
        self._own.close()
        self._others.close()

    def is_insecure(self, origin: Origin) -> bool:
        """Return whether the user declared a server insecure: by name, or as the host of an insecure registry."""
        return self._insecure(origin) or (self._registry.insecure and origin.host == self._registry.origin.host)

    def is_verified(self, origin: Origin) -> bool:
        """Return whether a server must have a trusted certificate."""
        return origin.scheme == "https" and self._tls_for(origin).verify

    def send(self, message: Message) -> Reply:
        """Send a request, follow its redirects, and return the first answer that is not a redirect.

        Raises:
            RegistryUnavailable: there was no HTTP answer.
            RegistryError: it redirects to a forbidden place.
        """
        first = origin_of(message.url)
        for _ in range(REDIRECTS + 1):
            reply = self._exchange(message, first)
            if reply.status not in _followed(message):
                return reply
            reply.close()
            message = replace(message, url=_target(message.url, reply))
        raise RegistryError(f"{first} redirects more than {REDIRECTS} times")

    def _exchange(self, message: Message, first: Origin) -> Reply:
        origin = origin_of(message.url)
        check_reachable(origin, self._registry, message.purpose)
        transport = self._own if origin.host == self._registry.origin.host else self._others
        own = {"Authorization": message.authorization} if message.authorization and origin == first else {}
        return transport.exchange(message.method, message.url, {**message.headers, **own}, message.body)

    def _tls_for(self, origin: Origin) -> Tls:
        found = self._tls(origin)
        return replace(found, verify=False) if self.is_insecure(origin) else found

    def _speaks(self, origin: Origin) -> bool:
        """Return whether a server speaks TLS: not one that closes at once, but perhaps one that is unreachable."""
        try:
            self._own.exchange("GET", f"{origin}/v2/", {}).close()
        except RegistryUnavailable as error:
            if error.code == NO_CONNECTION and origin.port == self._origins[-1].port:
                raise  # without TLS the host would be waited for once more
            return False
        except RegistryError as error:
            if error.code == NOT_TLS:
                return False
            raise
        return True

    def _note_peer(self, address: str) -> None:
        """Remember whether the address of the registry itself is on a private network."""
        if is_private(address):
            self._registry = replace(self._registry, private=True)

    def _check_peer(self, address: str) -> None:
        """Refuse a server at an address to which the registry must not redirect."""
        check_peer(address, self._registry)


Insecure = Callable[[Origin], bool]


def _followed(message: Message) -> frozenset[int]:
    """Return the statuses that redirect a request."""
    if message.method in {"GET", "HEAD"}:
        return _REDIRECT_STATUS
    # A request for a token contains a secret, which is only for the server that was named.
    return _REPEATED_STATUS if message.purpose is Purpose.UPLOAD else frozenset()


def _target(url: str, reply: Reply) -> str:
    location = reply.headers.get("Location")
    if not location:
        raise RegistryError(f"{origin_of(url)} redirects without a location")
    return joined(url, location)
