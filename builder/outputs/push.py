"""Pushing an image to the registries of its names."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pybuild.builder.errors import PushFailed, RequestError
from pybuild.builder.oci import media
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import OciError, RegistryError
from pybuild.builder.oci.image import children, choose_manifest
from pybuild.builder.oci.model import Descriptor, Platform
from pybuild.builder.oci.registry.access import AS_CONFIGURED, Access
from pybuild.builder.oci.registry.registry import open_registry
from pybuild.builder.oci.registry.transfer.push import PushOptions
from pybuild.builder.oci.stored_index import whole_or_present
from pybuild.builder.store.store import Store
from pybuild.grammar.reference import InvalidReference, Reference, parse_reference

Status = Callable[[str, int, int], None]
"""Takes (what, bytes done, bytes in all), from several threads at once."""


def _ignore_progress(_blob: Descriptor, _outcome: str) -> None:
    """Ignore the progress."""


def _no_status(_what: str, _current: int, _total: int) -> None:
    """Never cancel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Callbacks of a push: its progress, and whether it was cancelled."""

    status: Status = _no_status
    ended: Callable[[Descriptor, str], None] = _ignore_progress
    stop: threading.Event | None = None


def pushable(name: str) -> Reference:
    """Return the name under which an image is pushed. Raises RequestError for one that is no tag."""
    reference = parse_reference(name)
    if reference.digest:
        raise RequestError("cannot push a digest reference", hint="push a tag")
    return reference


def selected(store: Store, listed: Descriptor, platform: Platform | None) -> Descriptor:
    """Return what is pushed of an image: that for *platform*, else all of it, else what the store has of it."""
    return choose_manifest(store.blobs, listed, platform) if platform else whole_or_present(store.blobs, listed)


def push(
    store: Store,
    descriptor: Descriptor,
    names: Iterable[str],
    watch: Watch,
    *,
    access: Access = AS_CONFIGURED,
    by_digest: bool = False,
) -> None:
    """Push an image under each of *names*, which are full names with a tag. Common blobs are uploaded once.

    *by_digest*: to the repositories of these names, but without a tag.

    Raises:
        PushFailed: a registry refuses it or cannot be reached.
        OciError: the image is not complete in the store.
    """
    for (registry, repository), tags in _grouped(names).items():
        options = PushOptions(
            sources=mount_sources(store, registry), progress=watch.status, ended=watch.ended, stop=watch.stop
        )
        try:
            with open_registry(registry, access) as opened:
                opened.push(repository, () if by_digest else tags, descriptor, store.blobs, options)
        except RegistryError as error:
            raise PushFailed(f"failed to push {registry}/{repository}: {error}", hint=error.hint) from error


def _grouped(names: Iterable[str]) -> dict[tuple[str, str], list[str]]:
    groups: dict[tuple[str, str], list[str]] = {}
    for name in names:
        reference = parse_reference(name)
        groups.setdefault((reference.registry, reference.repository), []).append(reference.tag or "")
    return groups


def mount_sources(store: Store, registry: str) -> dict[Digest, list[str]]:
    """Return repositories of a registry that may have blobs of the store already, judging by names in the store."""
    found: dict[Digest, list[str]] = {}
    for name, descriptor in store.layout.entries():
        reference = _reference(name)
        if reference is None or reference.registry != registry:
            continue
        for blob in _blobs(store.blobs, descriptor):
            repositories = found.setdefault(blob.digest, [])
            if reference.repository not in repositories:
                repositories.append(reference.repository)
    return found


def _reference(name: str) -> Reference | None:
    try:
        return parse_reference(name) if name else None
    except InvalidReference:
        return None


def _blobs(blobs: BlobStore, descriptor: Descriptor) -> list[Descriptor]:
    """Return the digests that an image consists of, as far as the store knows them."""
    try:
        below = children(blobs, descriptor)
    except OciError:
        return []
    if descriptor.media_type not in media.INDEXES:
        return list(below)
    # Nested indexes are not read: this is only a guess that may save an upload.
    return [blob for item in below if item.media_type in media.MANIFESTS for blob in _blobs(blobs, item)]
