"""The server of a request: scheme, host and port, and the kind of its address."""

import ipaddress
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

from pybuild.builder.oci.errors import RegistryError

_PORTS = {"https": 443, "http": 80}
# The name of Docker Hub in references is not the host that serves it.
_DOCKER_HUB = {"docker.io": "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}
# Metadata services of clouds outside of link-local addresses: EC2 by IPv6, Azure's wire server, Alibaba, Oracle's
# older one. The names are for requests through a proxy, whose connections we do not see.
_METADATA = frozenset({"fd00:ec2::254", "168.63.129.16", "100.100.100.200", "192.0.0.192"})
_METADATA_NAMES = frozenset({"metadata.google.internal", "metadata.goog", "instance-data.ec2.internal"})

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Origin:
    """The part of a URL that identifies a server."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if _PORTS[self.scheme] == self.port else f":{self.port}")

    @property
    def name(self) -> str:
        """The name of a registry here, as in references and configuration files."""
        return str(self).partition("://")[2]

    @property
    def default_port(self) -> int:
        """The default port."""
        return _PORTS[self.scheme]

    @property
    def is_loopback(self) -> bool:
        """Whether this is certainly this host."""
        address = _address(self.host)
        return self.host == "localhost" or (address is not None and address.is_loopback)

    @property
    def is_private(self) -> bool:
        """Whether the address is not a public one. Names are not looked up."""
        return self.host == "localhost" or is_private(self.host)


def registry_origin(registry: str, scheme: str = "") -> Origin:
    """Return the origin of the registry of a reference (``docker.io``, ``localhost:5000``): https, or http on loopback.

    *scheme* overrides that.
    """
    origin = origin_of(f"{scheme or 'https'}://{_DOCKER_HUB.get(registry, registry)}")
    if scheme or not origin.is_loopback:
        return origin
    return origin_of(f"http://{registry}")


def origin_of(url: str) -> Origin:
    """Return the origin of an absolute URL. Raises RegistryError for an invalid one."""
    parts = _split(url)
    host = (parts.hostname or "").rstrip(".").lower()
    if parts.scheme not in _PORTS or not host or parts.username is not None or parts.password is not None:
        raise RegistryError(f"unusable address {url[:200]!r}")
    # "127.1" and "0x7f000001" look like names but are addresses to the C library, so only the plain notation is valid.
    if host.rsplit(".", 1)[-1][:1].isdecimal() and _address(host) is None:
        raise RegistryError(f"unusable address {url[:200]!r}")
    return Origin(parts.scheme, host, _port(parts, url) or _PORTS[parts.scheme])


def joined(url: str, location: str) -> str:
    """Return the URL of the header *location* in an answer from *url*. Raises RegistryError when it is invalid."""
    try:
        return urljoin(url, location)
    except ValueError:
        raise RegistryError(f"{origin_of(url)} redirects to an unusable address {location[:200]!r}") from None


def is_private(address: str) -> bool:
    """Return whether *address* is not a public one; False for a name."""
    found = _address(address)
    return found is not None and not found.is_global


def is_metadata(host: str) -> bool:
    """Return whether *host*, a name or an address, is that of the metadata service of a cloud."""
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
