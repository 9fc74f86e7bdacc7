"""Garbage collection: finding the data of the store that is still needed, and removing the rest.

Images of the layout are kept, with all their documents and layers, and everything that cache records name. A record
whose blobs are gone is a miss already and is dropped. Only one process collects at a time (`Store.collecting`), but
others may use the store meanwhile: what they rely on is claimed (`builder.store.leases`) and stays.
"""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache

from pybuild.builder.errors import Cancelled
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import OciError
from pybuild.builder.oci.image import children, read_image
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.prune.usage import disk_usage
from pybuild.builder.store.cache import Layers
from pybuild.builder.store.cache_mounts import StoredMount, cache_mounts, remove, sweep, unused
from pybuild.builder.store.container_holds import holds
from pybuild.builder.store.leases import is_used, removing
from pybuild.builder.store.snapshotters import abandoned, places, present
from pybuild.builder.store.store import Store


@dataclass(slots=True)
class Marked:
    """Needed data: blobs, snapshots that a build would unpack again, and layers whose times are kept."""

    blobs: set[Digest] = field(default_factory=set)
    snapshots: set[str] = field(default_factory=set)
    diff_ids: set[str] = field(default_factory=set)

    def add_layers(self, layers: Layers, store: Store) -> None:
        """Mark the layers of a record."""
        self.blobs.update(layer.digest for layer in layers)
        self.add_tree([str(diff_id) for diff_id in layers.diff_ids], store)

    def add_tree(self, diff_ids: Sequence[str], store: Store) -> None:
        """Mark the data of a tree besides the blobs of its layers."""
        self.snapshots.update(store.times.snapshot_names(diff_ids))
        self.diff_ids.update(diff_ids)


@dataclass(slots=True)
class Freed:
    """What was removed."""

    blobs: list[Digest] = field(default_factory=list)
    snapshots: list[str] = field(default_factory=list)
    mounts: list[str] = field(default_factory=list)
    records: int = 0
    size: int = 0

    def add(self, other: "Freed") -> None:
        """Add the counts of *other*."""
        self.blobs += other.blobs
        self.snapshots += other.snapshots
        self.mounts += other.mounts
        self.records += other.records
        self.size += other.size


def mark_images(store: Store, descriptors: Iterable[Descriptor]) -> Marked:
    """Return the data that the images of *descriptors* need."""
    marked = Marked()
    for descriptor in descriptors:
        marked.blobs.update(blob.digest for blob in _present(store, descriptor))
        with suppress(OciError):
            marked.add_tree([str(layer) for layer in read_image(store.blobs, descriptor).config.diff_ids], store)
    return marked


def mark(store: Store) -> Marked:
    """Return the data that the images of the layout and the containers of the store need."""
    held = [hold for _, hold in holds(store.root)]
    listed = [descriptor for _, descriptor in store.layout.entries()]
    marked = mark_images(store, [*listed, *(hold.image for hold in held)])
    # The snapshot that a container stands on may be of an older name than that of its layers now.
    marked.snapshots.update(hold.snapshot for hold in held)
    return marked


def collect(store: Store, *, everything: bool = False) -> Freed:
    """Remove data that is not needed. *everything* also removes all cache records and cache mounts.

    The caller holds `Store.collecting`. The store is consistent when this is interrupted: records are removed before
    their blobs, snapshots before their parents.
    """
    freed = Freed()
    if everything:
        freed.records = sum(1 for _ in store.cache.records())
        store.cache.forget_all()
        for mount in list(cache_mounts(store)):
            remove_mount(store, mount, freed)
    else:
        freed.records = _forget_broken(store)
    _sweep_snapshots(store, freed)
    _remove_unneeded(store, list(store.blobs.digests()), freed)
    store.locks.sweep()
    _sweep_unused(store)
    return freed


def _sweep_unused(store: Store) -> None:
    """Remove leftovers if no process uses the store. No process can start to use it meanwhile."""
    with removing(store.root / "locks"):
        # Nobody claims a leftover by name, and one may be a download that another process is writing.
        if not is_used(store.root / "locks"):
            store.times.keep_only(_mark_all(store).diff_ids)
            store.blobs.sweep()
            sweep(store)
            # Left by images that were copied through the store.
            shutil.rmtree(store.root / "copying", ignore_errors=True)


def remove_mount(store: Store, mount: StoredMount, freed: Freed) -> None:
    """Remove a cache mount, unless a step uses it."""
    with suppress(Cancelled), unused(mount, store):
        freed.size += disk_usage(mount.directory)
        remove(mount)
        freed.mounts.append(mount.name)


def drop_unnamed(store: Store) -> list[str]:
    """Remove the images without a name from the layout; return their digests."""
    images = [str(descriptor.digest) for name, descriptor in store.layout.entries() if not name]
    store.layout.untag("")
    return images


def drop_image(store: Store, descriptor: Descriptor) -> Freed:
    """Remove the blobs of an image that is no longer in the layout, except those that are needed."""
    freed = Freed()
    _remove_unneeded(store, [blob.digest for blob in _present(store, descriptor)], freed)
    return freed


def drop_platform(store: Store, manifest: Descriptor) -> Freed:
    """Remove the blobs of one image of an index that stays in the layout, except those that are needed."""
    freed = Freed()
    below = [blob.digest for blob in _present(store, manifest)]
    with removing(store.root / "locks") as claimed:
        # After the manifest is removed, its blobs cannot be found from the index any more.
        if str(manifest.digest) not in claimed:
            _retire(store, manifest.digest, freed)
    _remove_unneeded(store, below, freed)
    return freed


def _remove_unneeded(store: Store, digests: Iterable[Digest], freed: Freed) -> None:
    """Remove those of *digests* that no image, no record and no user of the store needs."""
    with removing(store.root / "locks") as claimed:
        # Read after the claims, so that what a user named or recorded before its claims ended is found here.
        needed = _mark_all(store).blobs
        for digest in digests:
            if digest not in needed and str(digest) not in claimed:
                _retire(store, digest, freed)
    # Likewise after the lock was released. Up to here the blobs were only renamed.
    store.blobs.bury()


def _mark_all(store: Store) -> Marked:
    """Return the data that images and records need."""
    marked = mark(store)
    for _, layers, _ in store.cache.records():
        marked.add_layers(layers, store)
    return marked


def _forget_broken(store: Store) -> int:
    # Asked once for each blob: records of one build have nearly the same.
    exists = cache(store.blobs.exists)
    records = store.cache.records()
    broken = [key for key, layers, _ in records if not all(exists(layer.digest) for layer in layers)]
    store.cache.forget(broken)
    return len(broken)


def _present(store: Store, descriptor: Descriptor) -> Iterator[Descriptor]:
    """Yield the blobs of an image, as far as they are known: of an index a store often has one image only."""
    seen: set[Digest] = set()
    waiting = [descriptor]
    while waiting:
        item = waiting.pop()
        if item.digest in seen:
            continue
        seen.add(item.digest)
        yield item
        with suppress(OciError):
            waiting.extend(children(store.blobs, item))


def _retire(store: Store, digest: Digest, freed: Freed) -> None:
    freed.size += store.blobs.retire(digest)
    freed.blobs.append(digest)


def snapshot_names(store: Store) -> tuple[str, ...]:
    """Return the names of all snapshots, of every snapshotter."""
    return tuple(dict.fromkeys(name for keeper in present(store.root) for name in keeper.names()))


def _sweep_snapshots(store: Store, freed: Freed) -> None:
    """Remove the snapshots that are not needed."""
    keepers, unused = present(store.root), abandoned(store.root)
    for keeper in (*keepers, *unused):
        # Files of a builder that was killed may be most of what can be freed.
        keeper.sweep()
    found = [(keeper, name) for keeper in keepers for name in keeper.names()]
    sizes = {name: snapshot_size(store, name) for _, name in found}
    with removing(store.root / "locks") as claimed:
        needed = _mark_all(store).snapshots | claimed
        retired = [each for keeper in unused for each in keeper.retire(keeper.names())]
        for keeper in keepers:
            retired += keeper.retire(name for owner, name in found if owner is keeper and name not in needed)
    # After the lock was released: claims of running builds wait for it, and to remove many files takes seconds.
    for name, bury in retired:
        bury()
        freed.snapshots.append(name)
        freed.size += sizes.pop(name, 0)


def snapshot_size(store: Store, name: str) -> int:
    """Return the disk usage of a snapshot, without its parents."""
    for place in places(store.root):
        with suppress(FileNotFoundError):
            return disk_usage(place / name.replace(":", "-"))
    return 0
