"""Removing records of the build cache and cache mounts when the cache exceeds its limits.

The cost of a record is the data that would be freed with it: its blobs and unpacked layers, except those of images. A
record counts as used when a record on top of it is used, so that all steps of a build that is still used are kept.
"""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from pybuild.builder.prune.gc import Freed, mark, remove_mount, snapshot_size
from pybuild.builder.prune.policy import Policy
from pybuild.builder.prune.usage import disk_usage
from pybuild.builder.store.cache_mounts import StoredMount, cache_mounts
from pybuild.builder.store.store import Store
from pybuild.runtime.paths.filesystems import disk_space


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """A record of the cache, or a cache mount, that may be removed."""

    key: str
    used: float
    """The time of the last use, in seconds since the epoch."""
    costs: frozenset[str]
    """The names of the data that it keeps in the store; several records may share some of it."""
    mount: StoredMount | None = None
    """The cache mount, for an item that is not a record."""


def evict(store: Store, policy: Policy) -> Freed:
    """Remove records and cache mounts until the limits of *policy* are kept, least recently used first.

    The data of the records is removed by the next `builder.prune.gc.collect`. The caller holds `Store.collecting`.
    """
    sizes: dict[str, int] = {}
    found = sorted((*_records(store, sizes), *_mounts(store, sizes)), key=lambda record: record.used)
    needed = Counter(cost for record in found for cost in record.costs)
    used = sum(sizes[cost] for cost in needed)
    room = policy.room(used, disk_space(store.root)[1])
    limit = time.time() - (policy.until or 0)
    gone = []
    for record in found:
        # The list is in the order of use, so that all that follow are younger still.
        if used <= room or (policy.until is not None and record.used > limit):
            break
        if policy.is_sized and not record.costs:
            continue  # an image needs all of it, so removing the record would free nothing
        if policy.takes(record.mount is not None):
            gone.append(record)
            needed.subtract(record.costs)
            used -= sum(sizes[cost] for cost in record.costs if needed[cost] == 0)
    freed = Freed(records=sum(record.mount is None for record in gone))
    store.cache.forget([record.key for record in gone if record.mount is None])
    for record in gone:
        if record.mount is not None:
            remove_mount(store, record.mount, freed)
    return freed


def _mounts(store: Store, sizes: dict[str, int]) -> Iterator[_Record]:
    """Yield all cache mounts. Their sizes are added to *sizes*."""
    for mount in cache_mounts(store):
        cost = f"mount {mount.directory.name}"
        sizes[cost] = disk_usage(mount.directory)
        yield _Record(key="", used=mount.used, costs=frozenset({cost}), mount=mount)


def _records(store: Store, sizes: dict[str, int]) -> Iterator[_Record]:
    """Yield all records with the data that only records keep in the store. Its sizes are added to *sizes*."""
    marked = mark(store)
    found = list(store.cache.records())
    latest: dict[str, float] = {}
    for _, layers, used in found:
        for chain in store.times.names_of(layers):
            latest[chain] = max(used, latest.get(chain, 0))
    names: dict[str, str] = {}
    for key, layers, used in found:
        blobs = [layer for layer in layers if layer.digest not in marked.blobs]
        sizes.update((str(layer.digest), layer.size) for layer in blobs)
        chains = store.times.names_of(layers)
        # With a prefix, because the blob and the snapshot of an uncompressed bottom layer have the same digest.
        unpacked = {f"snapshot {chain}": chain for chain in chains if chain not in marked.snapshots}
        sizes.update((name, snapshot_size(store, chain)) for name, chain in unpacked.items() if name not in sizes)
        costs = (*(str(layer.digest) for layer in blobs), *unpacked)
        recent = latest[chains[-1]] if chains else used
        # Records of one build share most names: keep one copy of each in memory.
        yield _Record(key=key, used=recent, costs=frozenset(names.setdefault(cost, cost) for cost in costs))
