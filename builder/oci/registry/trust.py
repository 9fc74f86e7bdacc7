"""Where a registry may redirect to, and which server may get the user's credentials. Pure; README.md has the reasons.

A registry names other servers in three places: the realm of a challenge, the Location of a redirect, and the Location
of an upload. None of them may lead from https to http, from the public network to a private one, or to a metadata
service, where a cloud gives its machines their secrets.
"""

from dataclasses import dataclass
from enum import Enum, auto

from pybuild.builder.oci.errors import RegistryError
from pybuild.builder.oci.registry.wire.origin import Origin, is_metadata, is_private


class Purpose(Enum):
    """What a request to the server that a registry names contains."""

    DOWNLOAD = auto()
    """Nothing; the answer is verified by its digest."""
    UPLOAD = auto()
    """The image of the user."""
    TOKEN = auto()
    """The credentials of the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Facts about the registry. *insecure*: declared so by the user; *private*: its address is on a private network."""

    origin: Origin
    insecure: bool = False
    private: bool = False


def check_reachable(target: Origin, registry: Standing, purpose: Purpose) -> None:
    """Raise RegistryError when *registry* must not make this host send a request to *target*."""
    if target.scheme == "http" and not _may_be_plain(target, registry, purpose):
        raise RegistryError(
            f"{registry.origin} refers to {target}, which is not encrypted", hint=_hint(target, registry, purpose)
        )
    if target.host == registry.origin.host:
        return
    if is_metadata(target.host):
        raise RegistryError(f"{registry.origin} refers to {target}, the metadata service of a cloud")
    if target.is_private and not registry.private and not registry.origin.is_private:
        raise RegistryError(f"{registry.origin} refers to {target}, an address of a private network")


def check_peer(address: str, registry: Standing) -> None:
    """Raise RegistryError when a server that *registry* redirected to has a forbidden *address*."""
    if is_metadata(address):
        raise RegistryError(f"{registry.origin} refers to {address}, the metadata service of a cloud")
    if is_private(address) and not registry.private:
        raise RegistryError(f"{registry.origin} refers to {address}, an address of a private network")


def reason_to_withhold(authority: Origin, registry: Standing, *, verified: bool, insecure: bool) -> str:
    """Return why *authority*, which *registry* names for its tokens, must not get the user's credentials.

    "" when it may: the registry could ask for them itself, so it may name another server, as long as nobody else could
    have forged its answer. *verified*: both have trusted certificates; *insecure*: the user declared the authority so.
    """
    origin = registry.origin
    if origin.scheme == "https" and authority.scheme == "http":
        return "it is not encrypted"
    if is_metadata(authority.host) and authority.host != origin.host:
        return "it is the metadata service of a cloud"
    if authority.is_loopback and origin.is_loopback:
        return ""
    if origin.scheme == authority.scheme == "https" and verified:
        return ""
    if registry.insecure and insecure:
        return ""
    return (
        "neither do both have trusted certificates, nor are both declared insecure in pybuild.toml or registries.conf"
    )


def _may_be_plain(target: Origin, registry: Standing, purpose: Purpose) -> bool:
    """Return whether *target* may use plain http: for downloads from an insecure registry, or from a plain one."""
    if registry.origin.scheme == "https":
        return registry.insecure and purpose is Purpose.DOWNLOAD
    same = target.host == registry.origin.host or (target.is_loopback and registry.origin.is_loopback)
    return same or registry.insecure


def _hint(target: Origin, registry: Standing, purpose: Purpose) -> str:
    """Return a hint for a *target* with plain http; "" when nothing would help."""
    origin = registry.origin
    if origin.scheme == "https" and target.host == origin.host:
        return "a proxy in front of the registry should set X-Forwarded-Proto to https"
    if registry.insecure or (origin.scheme == "https" and purpose is not Purpose.DOWNLOAD):
        return ""
    return f'to permit it, set insecure = true for [registry."{origin.name}"] in pybuild.toml'
