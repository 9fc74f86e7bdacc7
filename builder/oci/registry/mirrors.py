"""Where an image is searched: mirrors first, the registry itself last (containers-registries.conf, "[[registry]]").

Pure: entries come from `configuration`, which reads them from files.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pybuild.builder.oci.errors import RegistryError

ALL, BY_DIGEST, BY_TAG = "all", "digest-only", "tag-only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """Another server with the same content: *location* is a host, and optionally the start of a path."""

    location: str
    insecure: bool = False
    pull: str = ALL
    """The requests that it is used for: all, digest-only or tag-only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorRule:
    """The configuration of images whose full name starts with *prefix*, which may be ``*.example.com``."""

    prefix: str
    location: str = ""
    """What replaces the prefix in requests; empty for the prefix itself."""
    insecure: bool = False
    blocked: bool = False
    mirrors: tuple[Mirror, ...] = ()


@dataclass(frozen=True, slots=True)
class MirrorPlace:
    """One repository on one server; an *insecure* server may have any certificate, or none."""

    registry: str
    repository: str
    insecure: bool = False


def find_entry(entries: Sequence[MirrorRule], name: str) -> MirrorRule | None:
    """Return the entry with the longest matching prefix of ``registry/repository``; the first of equal ones."""
    fitting = [entry for entry in entries if _length(entry.prefix, name)]
    return max(fitting, key=lambda entry: _length(entry.prefix, name), default=None)


def places(
    entries: Sequence[MirrorRule], registry: str, repository: str, *, by_digest: bool
) -> tuple[MirrorPlace, ...]:
    """Return the places to look for an image, in order; the last is the registry itself.

    Raises:
        RegistryError: the registry is blocked.
    """
    name = f"{registry}/{repository}"
    entry = find_entry(entries, name)
    if entry is None:
        return (MirrorPlace(registry, repository),)
    if entry.blocked:
        raise RegistryError(f"registry {entry.prefix} is blocked by registries.conf")
    rest = name[_length(entry.prefix, name) :]
    own = _place(entries, entry.location + rest if entry.location else name, insecure=entry.insecure)
    fitting = [mirror for mirror in entry.mirrors if mirror.pull in {ALL, BY_DIGEST if by_digest else BY_TAG}]
    return (*(_place(entries, mirror.location + rest, insecure=mirror.insecure) for mirror in fitting), own)


def _place(entries: Sequence[MirrorRule], name: str, *, insecure: bool) -> MirrorPlace:
    """Return a place, which is also insecure when its server has an entry of its own that says so."""
    registry, _, repository = name.partition("/")
    entry = find_entry(entries, name)
    return MirrorPlace(registry, repository, insecure or (entry is not None and entry.insecure))


def _length(prefix: str, name: str) -> int:
    """Return the length of the part of *name* that a prefix matches, 0 for no match."""
    if prefix.startswith("*."):
        host = name.partition("/")[0]
        return len(host) if host.partition(":")[0].endswith(prefix[1:]) else 0
    if name == prefix or name.startswith((f"{prefix}/", f"{prefix}:", f"{prefix}@")):
        return len(prefix)
    return 0
