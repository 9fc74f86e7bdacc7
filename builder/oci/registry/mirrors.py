"""Where an image is looked for: mirrors first, the registry itself last (containers-registries.conf, "[[registry]]").

Pure: entries come from `configuration`, which reads them from files.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pybuild.builder.oci.errors import RegistryError

ALL, BY_DIGEST, BY_TAG = "all", "digest-only", "tag-only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """Another place with the same content: *location* is a host and perhaps the beginning of a path."""

    location: str
    insecure: bool = False
    pull: str = ALL
    """What may be asked for here: all, digest-only or tag-only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorRule:
    """What is configured for the images whose full name begins with *prefix*, which may be ``*.example.com``."""

    prefix: str
    location: str = ""
    """What stands in place of the prefix in the request; empty when it is the prefix itself."""
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
    """Return the entry whose prefix fits ``registry/repository`` best: the longest; the first of equal ones."""
    fitting = [entry for entry in entries if _length(entry.prefix, name)]
    return max(fitting, key=lambda entry: _length(entry.prefix, name), default=None)


def places(
    entries: Sequence[MirrorRule], registry: str, repository: str, *, by_digest: bool
) -> tuple[MirrorPlace, ...]:
    """Return where to ask for an image, in order; the last is the registry itself.

    Raises:
        RegistryError: the entry for the image says that it is blocked.
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
    """Return a place; its server may have an entry of its own that calls it insecure."""
    registry, _, repository = name.partition("/")
    entry = find_entry(entries, name)
    return MirrorPlace(registry, repository, insecure or (entry is not None and entry.insecure))


def _length(prefix: str, name: str) -> int:
    """Return how much of *name* a prefix covers, 0 when it does not fit."""
    if prefix.startswith("*."):
        host = name.partition("/")[0]
        return len(host) if host.partition(":")[0].endswith(prefix[1:]) else 0
    if name == prefix or name.startswith((f"{prefix}/", f"{prefix}:", f"{prefix}@")):
        return len(prefix)
    return 0
