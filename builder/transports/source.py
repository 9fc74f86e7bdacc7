"""Opened sources of images: a descriptor, and access to its content."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, assert_never

from pybuild.builder.errors import PullFailed
from pybuild.builder.image.catalog import find
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import BlobNotFound, OciError
from pybuild.builder.oci.image import choose_manifest, host_platform, read_image
from pybuild.builder.oci.model import Descriptor, Platform
from pybuild.builder.oci.registry.access import AS_CONFIGURED, Access
from pybuild.builder.oci.registry.registry import Registry, open_registry
from pybuild.builder.oci.registry.transfer.remote import TransferProgress, no_progress
from pybuild.builder.store.store import Store
from pybuild.builder.transports.files import archive_blobs, copying_directory, extract_archive, in_directory
from pybuild.builder.transports.places import InArchive, InDirectory, InRegistry, InStore, Place
from pybuild.grammar.reference import DEFAULT_TAG, Reference

Origin = tuple[str, str]


def _nowhere(_digest: Digest) -> Origin:
    """No registry is known to have the blob."""
    return ("", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The part of an index that is copied: *everything*, or the image for *platform*; None means this host's."""

    everything: bool = False
    platform: Platform | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How sources are read. Archives are extracted to *into*."""

    store: Store
    access: Access = AS_CONFIGURED
    progress: TransferProgress = no_progress
    into: BlobStore | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSource:
    """An image that can be copied: *blobs* can open everything that *descriptor* leads to, documents at once."""

    descriptor: Descriptor
    blobs: BlobStore
    fetch: Callable[[Sequence[Descriptor], BlobStore], None]
    """Fetches content other than documents into a store, verified, which is faster than blob by blob."""
    origin: Callable[[Digest], Origin] = _nowhere
    """Returns the registry and the repository that are known to have a blob."""


_ATTEMPTS = 5

Fetch = Callable[[Sequence[Descriptor], BlobStore], None]


class RemoteBlobs(BlobStore):
    """The blobs below *root*, which has the documents, and those that *fetch* downloads into *parts*.

    Several processes that copy the same blob at the same time share the download in *parts*. An interrupted download
    is resumed by the next copy.
    """

    def __init__(self, root: Path, parts: BlobStore, fetch: Fetch) -> None:
        super().__init__(root)
        self._parts, self._fetch = parts, fetch

    def open(self, blob: Descriptor | Digest) -> BinaryIO:
        """Open a blob, which is fetched and verified first when it is missing."""
        if isinstance(blob, Digest) or self.has(blob):
            return super().open(blob)
        for _ in range(_ATTEMPTS):
            self._fetch([blob], self._parts)
            try:
                file = self._parts.open(blob)
            except BlobNotFound:
                continue  # another process that fetched it removed it in between
            # The open file keeps the content, and nothing is left behind when the copy is interrupted.
            self._parts.remove(blob.digest)
            return file
        raise BlobNotFound(f"blob {blob.digest} is removed by other processes again and again")


@contextmanager
def open_source(place: Place, choice: Choice, reading: ReadOptions) -> Iterator[ImageSource]:
    """Open *place* while the block runs.

    Raises:
        ImageNotFound, RequestError: the image does not exist, or not for this platform.
        PullFailed: a registry refuses, or cannot be reached.
        OciError: it is not an image, or is damaged.
    """
    match place:
        case InStore():
            yield _local(reading.store.blobs, find(reading.store, place.name).descriptor, choice)
        case InDirectory():
            yield _local(BlobStore(place.path), in_directory(place), choice)
        case InArchive():
            with archive_blobs(reading.store, reading.into) as blobs:
                yield _local(blobs, extract_archive(place, blobs), choice)
        case InRegistry():
            with open_registry(place.reference.registry, reading.access) as registry:
                yield _remote(registry, place.reference, choice, reading)
        case _:
            assert_never(place)


def copy_blobs(source: BlobStore, items: Sequence[Descriptor], into: BlobStore) -> None:
    """Fetch the *items* that *into* lacks, each verified."""
    for item in items:
        if not into.has(item):
            with source.open(item) as content:
                into.put_stream(content, item, item.media_type)


def _local(blobs: BlobStore, descriptor: Descriptor, choice: Choice) -> ImageSource:
    chosen = descriptor if choice.everything else choose_manifest(blobs, descriptor, choice.platform)
    if choice.platform is not None:
        read_image(blobs, chosen, choice.platform)

    def fetch(items: Sequence[Descriptor], into: BlobStore) -> None:
        copy_blobs(blobs, items, into)

    return ImageSource(descriptor=chosen, blobs=blobs, fetch=fetch)


def _remote(registry: Registry, reference: Reference, choice: Choice, reading: ReadOptions) -> ImageSource:
    repository = reference.repository

    def fetch(items: Sequence[Descriptor], into: BlobStore) -> None:
        try:
            registry.fetch(repository, items, into, reading.progress)
        except OciError as error:
            raise PullFailed(f"failed to read docker://{reference}: {error}", hint=error.hint) from error

    parts = BlobStore(copying_directory(reading.store) / "parts")
    blobs = RemoteBlobs(reading.store.root, parts, fetch)
    wanted = None if choice.everything else choice.platform or host_platform()
    try:
        target = reference.digest or reference.tag or DEFAULT_TAG
        found, _ = registry.resolve_all(repository, target, reading.store.blobs, wanted)
        if choice.platform is not None:
            read_image(blobs, found, choice.platform)
    except OciError as error:
        raise PullFailed(f"failed to read docker://{reference}: {error}", hint=error.hint) from error
    origin = (reference.registry, repository)
    return ImageSource(descriptor=found, blobs=blobs, fetch=fetch, origin=lambda _digest: origin)
