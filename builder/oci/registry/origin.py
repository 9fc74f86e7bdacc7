"""Where a request goes: scheme, host and port, and which of them may be talked to in which way."""

import ipaddress
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

from builder.oci.errors import RegistryError

_PORTS = {"https": 443, "http": 80}
# The name that references use for Docker Hub is not the host that serves it.
_DOCKER_HUB = {"docker.io": "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}
_AUTHORITIES = {"registry-1.docker.io": "auth.docker.io"}

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Origin:
    """What has to be equal for two URLs to belong to one server."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if _PORTS[self.scheme] == self.port else f":{self.port}")

    @property
    def default_port(self) -> int:
        """The port that is meant when a URL names none."""
        return _PORTS[self.scheme]

    @property
    def is_loopback(self) -> bool:
        """Whether this is surely this machine."""
        address = _address(self.host)
        return self.host == "localhost" or (address is not None and address.is_loopback)

    @property
    def is_private(self) -> bool:
        """Whether the address is not one of the public network. Names are not looked up."""
        return self.host == "localhost" or is_private(self.host)


def registry_origin(registry: str, scheme: str = "") -> Origin:
    """Return where the registry of a reference (``docker.io``, ``localhost:5000``) is: https, or http on loopback.

    A *scheme* that is given counts instead.
    """
    origin = origin_of(f"{scheme or 'https'}://{_DOCKER_HUB.get(registry, registry)}")
    if scheme or not origin.is_loopback:
        return origin
    return origin_of(f"http://{registry}")


def origin_of(url: str) -> Origin:
    """Return the origin of an absolute URL. Raises RegistryError for one that must not be requested."""
    parts = _split(url)
    host = (parts.hostname or "").rstrip(".").lower()
    if parts.scheme not in _PORTS or not host or parts.username is not None or parts.password is not None:
        raise RegistryError(f"unusable address {url[:200]!r}")
    # "127.1" and "0x7f000001" are names to us but addresses to the C library: take only the plain notation.
    if host.rsplit(".", 1)[-1][:1].isdecimal() and _address(host) is None:
        raise RegistryError(f"unusable address {url[:200]!r}")
    return Origin(parts.scheme, host, _port(parts, url) or _PORTS[parts.scheme])


def joined(url: str, location: str) -> str:
    """Return where *location*, the word of a server, leads from *url*. Raises RegistryError when that is no address."""
    try:
        return urljoin(url, location)
    except ValueError:
        raise RegistryError(f"{origin_of(url)} leads to an unusable address {location[:200]!r}") from None


def check_reachable(target: Origin, registry: Origin) -> None:
    """Refuse what a registry must not make this machine request (by a redirect, or as the place of its tokens).

    Plain http is for loopback, and for a registry that the user calls insecure, whose host it does not leave; a
    registry of the public network cannot lead to private addresses, where services trust whoever can reach them.
    """
    plain = registry.scheme == "http" and (target.is_loopback or target.host == registry.host)
    if target.scheme == "http" and not plain:
        raise RegistryError(f"{registry} leads to {target}, which is not encrypted")
    if target.is_private and not registry.is_private:
        raise RegistryError(f"{registry} leads to {target}, an address of a private network")


def may_have_credentials(authority: Origin, registry: Origin) -> bool:
    """Tell whether the user's credentials for *registry* may be sent to *authority*, which gives out its tokens.

    The same host, a host below it, the domain that it is in, or the known authority of Docker Hub.
    """
    if authority.host == registry.host:
        # Several servers of one loopback address have nothing to do with one another.
        return not registry.is_loopback or authority.port == registry.port
    if _address(authority.host) or _address(registry.host):
        return False
    within = authority.host.endswith(f".{registry.host}")
    around = "." in authority.host and registry.host.endswith(f".{authority.host}")
    return within or around or _AUTHORITIES.get(registry.host) == authority.host


def is_private(address: str) -> bool:
    """Tell whether *address* is one that the public network does not lead to; a name is not."""
    found = _address(address)
    return found is not None and not found.is_global


def is_link_local(address: str) -> bool:
    """Tell whether *address* is of the kind at which clouds tell their machines secrets."""
    found = _address(address)
    return found is not None and found.is_link_local


def _split(url: str) -> SplitResult:
    if not url.isprintable() or " " in url or "\\" in url:
        raise RegistryError(f"unusable address {url[:200]!r}")
    try:
        return urlsplit(url)
    except ValueError:
        raise RegistryError(f"unusable address {url[:200]!r}") from None


def _port(parts: SplitResult, url: str) -> int | None:
    try:
        return parts.port
    except ValueError:
        raise RegistryError(f"unusable address {url[:200]!r}") from None


def _address(host: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
