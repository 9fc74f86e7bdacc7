"""The entries of an index, and edits of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pybuild.builder.errors import RequestError
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.image import normal_platform
from pybuild.builder.oci.model import Descriptor, ImageConfig, Index, Platform

_SUBJECT = "vnd.docker.reference.digest"
"""BuildKit's annotation for the image that an attestation is about."""

_Kind = tuple[str, str, str, str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryChange:
    """An edit of an entry of an index; an empty string keeps a value."""

    os: str = ""
    architecture: str = ""
    variant: str = ""
    os_version: str = ""
    os_features: tuple[str, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)


def entry_of(descriptor: Descriptor, config: ImageConfig) -> Descriptor:
    """Return the entry of an image in an index, with the platform of its config."""
    platform = Platform(
        os=config.os,
        architecture=config.architecture,
        variant=config.variant,
        os_version=config.os_version,
        os_features=config.os_features,
    )
    return Descriptor(
        media_type=descriptor.media_type, digest=descriptor.digest, size=descriptor.size, platform=platform
    )


def with_entries(index: Index, entries: Iterable[Descriptor]) -> Index:
    """Add *entries*; each replaces the entry of *index* for the same platform, and the attestations about that.

    Raises:
        RequestError: two of *entries* are for one platform.
    """
    new = {entry.digest: entry for entry in entries}
    platforms: dict[_Kind, Digest] = {}
    for entry in new.values():
        kind = _kind(entry)
        if kind is not None and platforms.setdefault(kind, entry.digest) != entry.digest:
            raise RequestError(
                f"two of the images are for {entry.platform}", hint="an index has one image for each platform"
            )
    gone = {str(old.digest) for old in index.manifests if _kind(old) in platforms and old.digest not in new}
    kept = [old for old in index.manifests if old.digest not in new]
    kept = [old for old in kept if not {str(old.digest), old.annotations.get(_SUBJECT)} & gone]
    return replace(index, manifests=(*kept, *new.values()))


def changed_entry(index: Index, digest: Digest, change: EntryChange) -> Index:
    """Return *index* with *change* applied to the entry *digest*. Raises RequestError when there is no such entry."""
    if digest not in {entry.digest for entry in index.manifests}:
        raise RequestError(f"{digest} is not in the index", hint=f"it has {listed(index.manifests)}")
    entries = [_changed(entry, change) if entry.digest == digest else entry for entry in index.manifests]
    return replace(index, manifests=tuple(entries))


def listed(entries: Sequence[Descriptor]) -> str:
    """Return the entries of an index, for a message."""
    return ", ".join(f"{entry.platform or 'no platform'}" for entry in entries[:20])


def _changed(entry: Descriptor, change: EntryChange) -> Descriptor:
    old = entry.platform or Platform(os="", architecture="")
    platform = Platform(
        os=change.os or old.os,
        architecture=change.architecture or old.architecture,
        variant=change.variant or old.variant,
        os_version=change.os_version or old.os_version,
        os_features=change.os_features or old.os_features,
    )
    return replace(entry, platform=platform, annotations={**entry.annotations, **change.annotations})


def _kind(entry: Descriptor) -> _Kind | None:
    """Return the platform of an entry; None for one without, such as an attestation."""
    platform = entry.platform
    # BuildKit gives attestations the platform unknown/unknown.
    if platform is None or platform.os == "unknown":
        return None
    return (*normal_platform(platform), platform.os_version, platform.os_features)
