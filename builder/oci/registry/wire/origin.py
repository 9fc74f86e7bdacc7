"""Where a request goes: scheme, host and port, and what their addresses are of."""

import ipaddress
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

from pybuild.builder.oci.errors import RegistryError

_PORTS = {"https": 443, "http": 80}
# The name that references use for Docker Hub is not the host that serves it.
_DOCKER_HUB = {"docker.io": "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}
# Where clouds hand their machines secrets, besides link-local addresses: EC2 by IPv6, Azure's wire server, Alibaba,
# Oracle's older one. The names are for requests through a proxy, whose connections we do not see.
_METADATA = frozenset({"fd00:ec2::254", "168.63.129.16", "100.100.100.200", "192.0.0.192"})
_METADATA_NAMES = frozenset({"metadata.google.internal", "metadata.goog", "instance-data.ec2.internal"})

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
    def name(self) -> str:
        """The name of a registry here, as references and configuration files have it."""
        return str(self).partition("://")[2]

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


def is_private(address: str) -> bool:
    """Tell whether *address* is one that the public network does not lead to; a name is not."""
    found = _address(address)
    return found is not None and not found.is_global


def is_metadata(host: str) -> bool:
    """Tell whether *host*, a name or an address, is of the kind at which clouds tell their machines secrets."""
    found = _address(host)
    if found is None:
        return host in _METADATA_NAMES
    return found.is_link_local or str(found) in _METADATA


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
