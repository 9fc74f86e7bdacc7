"""Writing an image to its target. At every kind of target it becomes visible only when it is complete."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from pybuild.builder.errors import PushFailed, RequestError
from pybuild.builder.oci import media
from pybuild.builder.oci.archive.save import ArchiveContent, save
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import RegistryError
from pybuild.builder.oci.image import reachable
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.oci.registry.access import AS_CONFIGURED, Access
from pybuild.builder.oci.registry.registry import open_registry
from pybuild.builder.oci.registry.transfer.push import PushOptions
from pybuild.builder.oci.registry.transfer.remote import TransferProgress, no_progress
from pybuild.builder.outputs.files import destination, sink
from pybuild.builder.outputs.layout import added_to
from pybuild.builder.outputs.push import mount_sources
from pybuild.builder.request.checks import full_names
from pybuild.builder.store.store import Store
from pybuild.builder.transports.places import InArchive, InDirectory, InRegistry, InStore, Place
from pybuild.builder.transports.source import ImageSource, copy_blobs
from pybuild.grammar.reference import DEFAULT_TAG

_DOCUMENTS = media.INDEXES | media.MANIFESTS


def _ignore_results(_blob: Descriptor, _outcome: str) -> None:
    """Ignore the results."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOptions:
    """How targets are written, and the callback for the result of each blob."""

    store: Store
    access: Access = AS_CONFIGURED
    progress: TransferProgress = no_progress
    ended: Callable[[Descriptor, str], None] = _ignore_results


def write_to(place: Place, source: ImageSource, writing: WriteOptions) -> None:
    """Write the image to *place*.

    Raises:
        RequestError: the place cannot be written to.
        PullFailed, PushFailed: the registry of the source, or that of the target, failed.
        OciError: the source is incomplete or damaged.
    """
    match place:
        case InStore():
            (name,) = full_names((place.name,))
            _copy_blobs(source, writing.store.blobs)
            writing.store.layout.tag(name, source.descriptor)
        case InDirectory():
            with added_to(place.path) as (blobs, layout):
                _copy_blobs(source, blobs)
                layout.name(place.name, source.descriptor)
        case InArchive():
            with destination(place.path) as file:
                named = ((place.name,) if place.name else (), source.descriptor)
                save(source.blobs, [named], sink(file), ArchiveContent(docker=place.docker))
        case InRegistry():
            _push(place, source, writing)
        case _:
            assert_never(place)


def _copy_blobs(source: ImageSource, into: BlobStore) -> None:
    """Copy the whole image, content before documents: a document that exists has everything that it names."""
    items = reachable(source.blobs, source.descriptor)
    source.fetch([item for item in items if item.media_type not in _DOCUMENTS], into)
    copy_blobs(source.blobs, [item for item in reversed(items) if item.media_type in _DOCUMENTS], into)


def _push(place: InRegistry, source: ImageSource, writing: WriteOptions) -> None:
    reference = place.reference
    if reference.digest:
        raise RequestError(f"docker://{reference}: cannot copy to a digest", hint="use a tag")
    options = PushOptions(sources=_mounts(place, source, writing), progress=writing.progress, ended=writing.ended)
    try:
        with open_registry(reference.registry, writing.access) as registry:
            tags = [reference.tag or DEFAULT_TAG]
            registry.push(reference.repository, tags, source.descriptor, source.blobs, options)
    except RegistryError as error:
        raise PushFailed(f"failed to write docker://{reference}: {error}", hint=error.hint) from error


def _mounts(place: InRegistry, source: ImageSource, writing: WriteOptions) -> Mapping[Digest, Sequence[str]]:
    """Return a function for where the registry may have a blob already: its source, or what the store knows."""
    registry = place.reference.registry
    # A source in the same registry is sure to have the blob. What the store knows of others may be out of date.
    found = dict[Digest, Sequence[str]](mount_sources(writing.store, registry))
    for item in reachable(source.blobs, source.descriptor):
        there, repository = source.origin(item.digest)
        if there == registry:
            found[item.digest] = [repository]
    return found
