"""Exchanges with one registry and with the servers that it leads to.

Redirects are followed by hand: an Authorization header stays with the origin that it was made for, and before anything
is sent to another server the rules of `trust` are asked, about its name and about the address that was connected to.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from pybuild.builder.oci.errors import RegistryError, RegistryUnavailable
from pybuild.builder.oci.registry.trust import Purpose, Standing, check_peer, check_reachable
from pybuild.builder.oci.registry.wire.body import FileBody
from pybuild.builder.oci.registry.wire.certificates import Tls
from pybuild.builder.oci.registry.wire.failures import NOT_TLS
from pybuild.builder.oci.registry.wire.http import Reply, Timing, Transport
from pybuild.builder.oci.registry.wire.origin import Origin, is_private, joined, origin_of

REDIRECTS = 5
_REDIRECT_STATUS = frozenset({301, 302, 303, 307, 308})
# 303 asks for a GET instead, which is no upload.
_REPEATED_STATUS = _REDIRECT_STATUS - {303}

Body = bytes | FileBody


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A request. *authorization* goes to the origin of *url* and no further."""

    method: str
    url: str
    purpose: Purpose
    headers: Mapping[str, str] = field(default_factory=dict)
    authorization: str | None = field(default=None, repr=False)
    body: Body | None = None


class Routes:
    """The ways to a registry, of which the first that speaks its protocol is taken. May be used by several threads.

    *insecure* tells of which servers, besides the registry, the user says that they may be plain or have any
    certificate.
    """

    def __init__(
        self, origins: tuple[Origin, ...], tls: Callable[[Origin], Tls], timing: Timing, insecure: "Insecure"
    ) -> None:
        self._origins, self._tls, self._insecure = origins, tls, insecure
        self._own = Transport(self._tls_for, timing, self._note_peer)
        self._others = Transport(self._tls_for, timing, self._check_peer)
        # Several origins are those of a registry that may be plain.
        doubtful = len(origins) > 1 or insecure(origins[0])
        self._registry = Standing(origin=origins[-1], insecure=doubtful)

    @property
    def registry(self) -> Standing:
        """What is known of the registry by now."""
        return self._registry

    def settle(self) -> Origin:
        """Find out which of the origins answers, https before plain http."""
        origin = next(filter(self._speaks, self._origins[:-1]), self._origins[-1])
        self._registry = replace(self._registry, origin=origin)
        return origin

    def close(self) -> None:
        """Close all connections."""
        self._own.close()
        self._others.close()

    def is_insecure(self, origin: Origin) -> bool:
        """Tell whether the user calls a server insecure: by name, or as the host of an insecure registry."""
        return self._insecure(origin) or (self._registry.insecure and origin.host == self._registry.origin.host)

    def is_verified(self, origin: Origin) -> bool:
        """Tell whether a server has to show a certificate that is trusted."""
        return origin.scheme == "https" and self._tls_for(origin).verify

    def send(self, message: Message) -> Reply:
        """Send a request, where it leads to, and return the first answer that leads no further.

        Raises:
            RegistryUnavailable: nothing that is HTTP came back.
            RegistryError: it leads to where it must not lead.
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
        if is_private(address):
            self._registry = replace(self._registry, private=True)

    def _check_peer(self, address: str) -> None:
        """Refuse to talk to a server at an address to which the registry must not lead."""
        check_peer(address, self._registry)


Insecure = Callable[[Origin], bool]


def _followed(message: Message) -> frozenset[int]:
    """Return the statuses that send a request elsewhere."""
    if message.method in {"GET", "HEAD"}:
        return _REDIRECT_STATUS
    # What is sent for a token is a secret, and meant for the server that was named.
    return _REPEATED_STATUS if message.purpose is Purpose.UPLOAD else frozenset()


def _target(url: str, reply: Reply) -> str:
    location = reply.headers.get("Location")
    if not location:
        raise RegistryError(f"{origin_of(url)} redirects without saying where to")
    return joined(url, location)
