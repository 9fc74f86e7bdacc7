"""Where a cache is kept: each place reads and writes the same OCI image manifest."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from pybuild.builder.caches.document import CONFIG_TYPE, DOCUMENT_LIMIT, Remembered
from pybuild.builder.oci import media
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.documents import describe
from pybuild.builder.oci.errors import ImageNotFound, InvalidImage
from pybuild.builder.oci.fields import parse_object
from pybuild.builder.oci.image import reachable
from pybuild.builder.oci.image_config import BUILD_CACHE
from pybuild.builder.oci.json_text import DOCUMENT_LIMIT as MANIFEST_LIMIT
from pybuild.builder.oci.layout import Layout
from pybuild.builder.oci.model import Descriptor, Manifest
from pybuild.builder.request import CacheSpec
from pybuild.builder.store.room import writing
from pybuild.builder.store.store import Store
from pybuild.runtime.paths.filelock import exclusive, shared

_AT_ONCE = 4
_WRITERS = ".writers"
"""The lock of a folder: shared by those who write to it, had alone by one that removes."""

Status = Callable[[str, int, int], None]
"""Takes (what, bytes done, bytes in all)."""

Tell = Callable[[str], None]


def untold(_text: str) -> None:
    """Nobody listens."""


def telling(status: Status) -> Tell:
    """Return what hands a text on to *status*."""
    return lambda text: status(text, 0, 0)


class Place(Protocol):
    """One cache. Failures are OciError and OSError."""

    name: str
    """For messages."""

    def load(self, store: Store, tell: Tell = untold) -> Remembered:
        """Return what the cache knows; no layer is brought. *tell* takes what is waited for."""
        ...

    def bring(self, blobs: Iterable[Descriptor], store: Store, status: Status) -> None:
        """Bring layers of the cache into the store, verified."""
        ...

    def keep(self, remembered: Remembered, store: Store, status: Status) -> None:
        """Make the cache hold this, instead of what it held."""
        ...


def place_of(spec: CacheSpec) -> Place:
    """Return the place that *spec* names."""
    if spec.type == "local":
        return LocalPlace(spec)
    if spec.type == "gha":
        from pybuild.builder.caches.gha import GhaPlace

        return GhaPlace(spec)
    from pybuild.builder.caches.registry import RegistryPlace

    return RegistryPlace(spec)


def write_manifest(remembered: Remembered, blobs: BlobStore) -> Descriptor:
    """Store the documents of a cache whose layers are in *blobs*, and return what names it."""
    config = blobs.put(remembered.to_json(), CONFIG_TYPE)
    manifest = Manifest(config=config, layers=remembered.blobs)
    return blobs.put(manifest.to_json(), manifest.media_type)


def read_caches(descriptor: Descriptor, blobs: BlobStore) -> Remembered:
    """Return the cache that *descriptor* names: one of its own, or what images have in their configs.

    Raises:
        InvalidImage: there is none, or its layers are not those of its records.
    """
    documents = [item for item in reachable(blobs, descriptor) if item.media_type in media.MANIFESTS]
    found = [cache for item in documents if (cache := _read_manifest(item, blobs)) is not None]
    if not found:
        raise InvalidImage("there is no cache of pybuild in it", hint="write it with --cache-to")
    records = {key: layers for cache in found for key, layers in cache.records.items()}
    selections = {key: content for cache in found for key, content in cache.selections.items()}
    return Remembered(records=records, selections=selections, mounts=tuple(m for cache in found for m in cache.mounts))


def _read_manifest(descriptor: Descriptor, blobs: BlobStore) -> Remembered | None:
    manifest = Manifest.from_json(blobs.read(descriptor), f"manifest {descriptor.digest}")
    if manifest.config.media_type == CONFIG_TYPE:
        remembered = Remembered.from_json(blobs.read(manifest.config, DOCUMENT_LIMIT))
    elif manifest.config.media_type in media.CONFIGS:
        text = parse_object(blobs.read(manifest.config), "config").text(BUILD_CACHE)
        if not text:
            return None
        remembered = Remembered.from_json(text.encode())
    else:
        return None
    listed = {(layer.digest, layer.size) for layer in manifest.layers}
    for blob in remembered.blobs:
        if (blob.digest, blob.size) not in listed:
            raise InvalidImage(f"{descriptor.digest}: layer {blob.digest} of a record is not in the manifest")
    return remembered


class LocalPlace:
    """An OCI image layout in a folder: ``dest=`` or ``src=``, ``tag=`` (default: latest), ``digest=``.

    With ``reset=true`` what no tag names any more is removed from it, once nobody else writes to it.
    """

    def __init__(self, spec: CacheSpec) -> None:
        options = dict(spec.options)
        self._folder = Path(options.get("dest") or options["src"])
        self._tag = options.get("tag", "latest")
        self._digest = options.get("digest", "")
        self._reset = spec.flag("reset")
        self.name = str(self._folder)

    def load(self, store: Store, tell: Tell = untold) -> Remembered:
        """Read the documents where they are; *store* is not written to."""
        del store, tell
        blobs = BlobStore(self._folder)
        return read_caches(self._descriptor(blobs), blobs)

    def bring(self, blobs: Iterable[Descriptor], store: Store, status: Status) -> None:
        """Copy layers into the store."""
        _copy(BlobStore(self._folder), store.blobs, blobs, status)

    def keep(self, remembered: Remembered, store: Store, status: Status) -> None:
        """Copy what is not there; the tag moves when all of it is."""
        with writing(self._folder):
            self._write(remembered, store, status)

    def _write(self, remembered: Remembered, store: Store, status: Status) -> None:
        there = BlobStore(self._folder)
        with _layout_folder(self._folder), shared(self._folder / _WRITERS):
            _copy(store.blobs, there, remembered.blobs, status)
            Layout(self._folder).tag(self._tag, write_manifest(remembered, there))
        if self._reset:
            with exclusive(self._folder / _WRITERS):
                _sweep(there, [descriptor for _, descriptor in Layout(self._folder).entries()])

    def _descriptor(self, blobs: BlobStore) -> Descriptor:
        if self._digest:
            digest = Digest.parse(self._digest)
            with blobs.open(digest) as file:
                return describe(file.read(MANIFEST_LIMIT), digest)
        found = Layout(self._folder).resolve(self._tag)
        if found is None:
            raise ImageNotFound(f"{self._folder} has no cache {self._tag!r}")
        return found


def _sweep(blobs: BlobStore, tagged: list[Descriptor]) -> None:
    """Remove the blobs that nothing *tagged* leads to. What cannot be read leads nowhere, and nothing is removed."""
    needed = {item.digest for descriptor in tagged for item in reachable(blobs, descriptor)}
    for digest in list(blobs.digests()):
        if digest not in needed:
            blobs.remove(digest)


@contextmanager
def _layout_folder(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    yield
    with suppress(OSError):
        (folder / "tmp").rmdir()


def _copy(source: BlobStore, target: BlobStore, blobs: Iterable[Descriptor], status: Status) -> None:
    """Copy several blobs at once: what comes is hashed on the way."""

    def one(blob: Descriptor) -> None:
        if not target.has(blob):
            with source.open(blob) as stream:
                target.put_stream(stream, blob, blob.media_type)
        status(str(blob.digest), blob.size, blob.size)

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        for end in [pool.submit(one, blob) for blob in blobs]:
            end.result()
