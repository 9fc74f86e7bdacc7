"""The names of contexts, hosts and entitlements, which most builds do not have.

A context has one spelling, by which a build finds it. Every check raises RequestError, with the message of the
command line.
"""

from collections.abc import Iterable

from pybuild.builder.errors import RequestError, ResolveError
from pybuild.builder.platforms import parse_platform
from pybuild.grammar.parse_go import parse_ip
from pybuild.grammar.reference import InvalidReference, parse_reference

SCRATCH = "scratch"
"""The name of the empty image after FROM, ``--from=`` and ``from=``; other spellings are ordinary images."""
ENTITLEMENTS = ("network.host", "security.insecure")
_RESERVED = frozenset({"context", SCRATCH})


def check_contexts(pairs: Iterable[tuple[str, str]]) -> None:
    """Check named contexts, as (name, value). Raises RequestError."""
    for name, value in pairs:
        context_name(name)
        if not value:
            raise RequestError(f"invalid context value: '{name}=', expected key=value")


def context_name(given: str) -> str:
    """Return the name of a context in normal form. Raises RequestError."""
    text, mark, platform = given.partition("::")
    name = short_name(text)
    if name is None or name in _RESERVED:
        raise RequestError(f"invalid context name {given!r}", hint="it is the name of a stage or an image")
    try:
        return f"{name}::{parse_platform(platform)}" if mark else name
    except ResolveError as error:
        raise RequestError(f"invalid context name {given!r}: {error.message}", hint=error.hint) from error


def short_name(text: str) -> str | None:
    """Return the short name of an image, without the default tag; None when it is no name."""
    try:
        return parse_reference(text.lower()).familiar().removesuffix(":latest")
    except InvalidReference:
        return None


def check_hosts(pairs: Iterable[tuple[str, str]]) -> None:
    """Check lines of /etc/hosts, as (name, address)."""
    for name, address in pairs:
        if not name or not address or any(char.isspace() for char in name):
            raise RequestError(f'bad format for add-host: "{name}:{address}"', hint="write it as name:address")
        try:
            parse_ip(address)
        except ValueError as error:
            hint = "use an IPv4 or IPv6 address, or host-gateway"
            raise RequestError(f'invalid IP address in add-host: "{address}"', hint=hint) from error


def check_entitlements(names: Iterable[str]) -> None:
    """Check names of entitlements."""
    for name in names:
        if name not in ENTITLEMENTS:
            raise RequestError(f"invalid --allow {name!r}", hint=f"use {' or '.join(ENTITLEMENTS)}")
