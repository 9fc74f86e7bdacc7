"""Imported caches, consulted on a miss while a build runs.

Only the documents are read at the start. The layers of a record are fetched when a step hits it, which then becomes a
record of this store. Anything wrong with a cache is a warning, and the build continues without that part of it.
"""

import hashlib
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from pybuild.builder.caches.document import Mount, Remembered
from pybuild.builder.caches.places import CachePlace, kept, place_of
from pybuild.builder.errors import Cancelled
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import DigestMismatch, OciError
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.progress import Warned
from pybuild.builder.reporter import Reporter
from pybuild.builder.request import Caches
from pybuild.builder.store.cache import BuiltLayer, Layers
from pybuild.builder.store.store import Store
from pybuild.runtime import stopping

_AT_ONCE = 4


def imported(caches: Caches, store: Store, reporter: Reporter) -> Store:
    """Return *store* with a cache that, on a miss, consults the caches of ``--cache-from`` in their order.

    Other builds on the same store are not affected. The caller is within `Store.in_use`, which both values share.
    """
    places = [place_of(spec) for spec in kept(caches.cache_from)]
    return store.consulting(Imported(places, store, reporter))


class Imported:
    """Several caches as one. Thread-safe."""

    def __init__(self, places: Iterable[CachePlace], store: Store, reporter: Reporter) -> None:
        self._store, self._reporter = store, reporter
        self._lock = threading.Lock()
        self._warned: set[str] = set()
        self._seen: set[tuple[Digest, Digest]] = set()
        """(digest, diff ID) of layers that are in the store and were verified."""
        with stopping.pool(_AT_ONCE) as pool:
            loaded = list(pool.map(self._load, places))
        self._caches = [item for item in loaded if item is not None]

    def record(self, key: Digest) -> Layers | None:
        """Return the layers under *key*, after those of steps were fetched; None when no cache has them."""
        for place, remembered in self._caches:
            layers = remembered.records.get(key)
            if layers is not None and self._fetch_missing(place, [layer for layer in layers if layer.created]):
                return layers
        return None

    def selection(self, key: Digest) -> Digest | None:
        """Return what a selection contains."""
        return next((found for _, known in self._caches if (found := known.selections.get(key))), None)

    def fill_mount(self, name: str, directory: Path) -> bool:
        """Create *directory* with the content of the cache mount in another store; return whether any cache has it."""
        for place, remembered in self._caches:
            for mount in remembered.mounts:
                if mount.name == name and self._fetch_missing(place, [mount.layer]):
                    return self._unpack(place, mount, directory)
        return False

    def _unpack(self, place: CachePlace, mount: Mount, directory: Path) -> bool:
        from pybuild.builder.caches.mounts import unpack_mount

        try:
            unpack_mount(mount, directory, self._store)
        except (OciError, OSError) as error:
            self._warn(place, error)
            return False
        return True

    def _load(self, place: CachePlace) -> tuple[CachePlace, Remembered] | None:
        step = self._reporter.begin(f"importing cache manifest from {place.name}")
        try:
            found = place.load(self._store, step.say)
        except Cancelled as error:
            step.fail(error)
            raise
        except (OciError, OSError) as error:
            step.fail(error)
            self._warn(place, error)
            return None
        step.finish()
        return place, found

    def _fetch_missing(self, place: CachePlace, layers: list[BuiltLayer]) -> bool:
        """Fetch the missing ones of *layers*; return whether all are in the store now and were verified."""
        with self._lock:
            # Under the lock: steps of one stage have most layers in common, and each is fetched and verified once.
            unseen = [layer for layer in layers if (layer.digest, layer.diff_id) not in self._seen]
            if not unseen:
                return True
            step = self._reporter.begin(f"importing layers from cache {place.name}")
            try:
                self._fetch(place, unseen, step.status)
            except (OciError, OSError) as error:
                step.fail(error)
                self._warn(place, error)
                return False
            step.finish()
            return True

    def _fetch(self, place: CachePlace, layers: list[BuiltLayer], status: Callable[[str, int, int], None]) -> None:
        blobs = self._store.blobs
        missing = [layer.descriptor for layer in layers if not blobs.has(layer.descriptor)]
        if missing:
            place.fetch(missing, self._store, status)
        # Even a blob that the store had already is checked: its diff ID is only what the cache claims.
        with stopping.pool(_AT_ONCE) as pool:
            found = pool.map(lambda layer: diff_id(blobs, layer.descriptor), layers)
            for layer, digest in zip(layers, found, strict=True):
                if digest != layer.diff_id:
                    raise DigestMismatch(f"layer {layer.digest} does not unpack to {layer.diff_id}")
                self._seen.add((layer.digest, layer.diff_id))

    def _warn(self, place: CachePlace, error: Exception) -> None:
        text = f"failed to import cache {place.name}: {error}"
        if text not in self._warned:
            self._warned.add(text)
            self._reporter.progress(Warned(message=text))


def diff_id(blobs: BlobStore, layer: Descriptor) -> Digest:
    """Return the digest of the uncompressed layer. Raises LayerError when it cannot be decompressed."""
    from pybuild.builder.oci.streams.compression import decompressing
    from pybuild.builder.oci.streams.verified import pieces

    digest = hashlib.sha256()
    with blobs.open(layer) as file, decompressing(file) as content:
        for piece in pieces(content):
            digest.update(piece)
    return Digest("sha256", digest.hexdigest())
