"""Where the word of a registry may lead, and who may have the user's credentials. Pure; README.md has the reasons.

A registry names other servers in three places: the realm of a challenge, the Location of a redirect, and the Location
of an upload. None of them may take a request from https to http, from the public network to a private one, or to an
address where a cloud hands its machines their secrets.
"""

from dataclasses import dataclass
from enum import Enum, auto

from pybuild.builder.oci.errors import RegistryError
from pybuild.builder.oci.registry.wire.origin import Origin, is_metadata, is_private


class Purpose(Enum):
    """What is sent to the server that a registry names."""

    DOWNLOAD = auto()
    """Nothing but the question; the answer is compared with its digest."""
    UPLOAD = auto()
    """The user's image."""
    TOKEN = auto()
    """Who the user is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is known of the registry. *insecure*: the user calls it so; *private*: it was reached on such a network."""

    origin: Origin
    insecure: bool = False
    private: bool = False


def check_reachable(target: Origin, registry: Standing, purpose: Purpose) -> None:
    """Raise RegistryError when *registry* must not make this machine send a request to *target*."""
    if target.scheme == "http" and not _may_be_plain(target, registry, purpose):
        raise RegistryError(
            f"{registry.origin} leads to {target}, which is not encrypted", hint=_way_out(target, registry, purpose)
        )
    if target.host == registry.origin.host:
        return
    if is_metadata(target.host):
        raise RegistryError(f"{registry.origin} leads to {target}, where clouds keep the secrets of their machines")
    if target.is_private and not registry.private and not registry.origin.is_private:
        raise RegistryError(f"{registry.origin} leads to {target}, an address of a private network")


def check_peer(address: str, registry: Standing) -> None:
    """Raise RegistryError when a server that *registry* led to turns out to be at an *address* it must not be at."""
    if is_metadata(address):
        raise RegistryError(f"{registry.origin} leads to {address}, where clouds keep the secrets of their machines")
    if is_private(address) and not registry.private:
        raise RegistryError(f"{registry.origin} leads to {address}, an address of a private network")


def reason_to_withhold(authority: Origin, registry: Standing, *, verified: bool, insecure: bool) -> str:
    """Return why *authority*, which *registry* names for its tokens, must not get the user's credentials.

    "" when it may: the registry could ask for them itself, so its word is good enough as long as nobody else could
    have spoken it. *verified*: the certificates of both are; *insecure*: the user calls the authority so, by name.
    """
    origin = registry.origin
    if origin.scheme == "https" and authority.scheme == "http":
        return "it is not encrypted"
    if is_metadata(authority.host) and authority.host != origin.host:
        return "clouds keep the secrets of their machines there"
    if authority.is_loopback and origin.is_loopback:
        return ""
    if origin.scheme == authority.scheme == "https" and verified:
        return ""
    if registry.insecure and insecure:
        return ""
    return (
        "not both have a certificate that is trusted, nor are both called insecure in pybuild.toml or registries.conf"
    )


def _may_be_plain(target: Origin, registry: Standing, purpose: Purpose) -> bool:
    """Tell whether *target* may be asked by http: what is downloaded from an insecure registry, and what is plain."""
    if registry.origin.scheme == "https":
        return registry.insecure and purpose is Purpose.DOWNLOAD
    same = target.host == registry.origin.host or (target.is_loopback and registry.origin.is_loopback)
    return same or registry.insecure


def _way_out(target: Origin, registry: Standing, purpose: Purpose) -> str:
    """Return what a user can do about a plain *target*; "" where nothing would help."""
    origin = registry.origin
    if origin.scheme == "https" and target.host == origin.host:
        return "a proxy in front of the registry may not tell it of https; that is done by X-Forwarded-Proto"
    if registry.insecure or (origin.scheme == "https" and purpose is not Purpose.DOWNLOAD):
        return ""
    return f'if that is good enough, say insecure = true for [registry."{origin.name}"] in pybuild.toml'
