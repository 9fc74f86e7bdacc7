"""What in the store is still needed, and removing the rest.

Kept are the images that are listed in the layout, with all their documents and layers, and what cache records name.
A record whose blobs are gone is a miss already and is dropped. Everything here needs the store alone
(`Machine.collecting`): a builder that runs meanwhile has blobs that nothing names yet.
"""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from builder.cache import Layers
from builder.machine import Machine
from builder.mount_store import CacheMount, cache_mounts, remove, sweep
from builder.oci.digest import Digest
from builder.oci.errors import OciError
from builder.oci.image import children, read_image
from builder.oci.model import Descriptor
from builder.outputs.tree import folders
from builder.snapshotters import COPYING, OVERLAY, present
from runtime.errors import SnapshotError
from runtime.safepath import Root
from runtime.snapshotter import Snapshotter


@dataclass(slots=True)
class Marked:
    """What is needed: blobs, snapshots that a build would unpack again, and layers whose times are kept."""

    blobs: set[Digest] = field(default_factory=set)
    snapshots: set[str] = field(default_factory=set)
    diff_ids: set[str] = field(default_factory=set)

    def add_layers(self, layers: Layers, machine: Machine) -> None:
        """Mark the layers of a record."""
        self.blobs.update(Digest.parse(layer.digest) for layer in layers)
        self.add_tree([layer.diff_id for layer in layers], machine)

    def add_tree(self, diff_ids: Sequence[str], machine: Machine) -> None:
        """Mark what stands for a tree beside the blobs of its layers."""
        self.snapshots.update(machine.times.snapshot_names(diff_ids))
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
        """Count what *other* has as removed, too."""
        self.blobs += other.blobs
        self.snapshots += other.snapshots
        self.mounts += other.mounts
        self.records += other.records
        self.size += other.size


def mark_images(machine: Machine, descriptors: Iterable[Descriptor]) -> Marked:
    """Return what the images behind *descriptors* need."""
    marked = Marked()
    for descriptor in descriptors:
        marked.blobs.update(blob.digest for blob in _present(machine, descriptor))
        with suppress(OciError):
            marked.add_tree([str(layer) for layer in read_image(machine.blobs, descriptor).config.diff_ids], machine)
    return marked


def mark(machine: Machine) -> Marked:
    """Return what the images of the layout need."""
    return mark_images(machine, [descriptor for _, descriptor in machine.layout.entries()])


def collect(machine: Machine, *, everything: bool = False) -> Freed:
    """Remove what nothing needs. With *everything*, cache records and cache mounts count for nothing and go, too.

    The caller holds `Machine.collecting`. Interrupted at any point, the store is whole: records go before their blobs,
    snapshots before their parents.
    """
    freed = Freed()
    marked = mark(machine)
    if everything:
        freed.records = sum(1 for _ in machine.cache.records())
        machine.cache.forget_all()
        for mount in list(cache_mounts(machine)):
            remove_mount(mount, freed)
    else:
        freed.records = _forget_broken(machine, marked)
    _sweep_snapshots(machine, marked.snapshots, freed)
    for digest in list(machine.blobs.digests()):
        if digest not in marked.blobs:
            _remove_blob(machine, digest, freed)
    machine.times.keep_only(marked.diff_ids)
    machine.blobs.sweep()
    sweep(machine)
    # Of images that passed through the store; who copies holds the lock of those that use it.
    shutil.rmtree(machine.root / "copying", ignore_errors=True)
    return freed


def remove_mount(mount: CacheMount, freed: Freed) -> None:
    """Remove a cache mount. The caller holds `Machine.collecting`: no builder works with it."""
    freed.size += disk_usage(mount.folder)
    remove(mount)
    freed.mounts.append(mount.name)


def drop_image(machine: Machine, descriptor: Descriptor) -> Freed:
    """Remove the blobs of an image that is listed no more, except those that other images or records need."""
    freed = Freed()
    marked = mark(machine)
    for _, layers, _ in machine.cache.records():
        marked.add_layers(layers, machine)
    # A manifest that is gone no longer tells what it named.
    for blob in list(_present(machine, descriptor)):
        if blob.digest not in marked.blobs:
            _remove_blob(machine, blob.digest, freed)
    return freed


def drop_platform(machine: Machine, manifest: Descriptor) -> Freed:
    """Remove the blobs of one image of an index that stays listed, except those that other images or records need."""
    freed = Freed()
    below = [blob.digest for blob in _present(machine, manifest)]
    # Once the manifest is gone, the index no longer leads to what it names.
    _remove_blob(machine, manifest.digest, freed)
    marked = mark(machine)
    for _, layers, _ in machine.cache.records():
        marked.add_layers(layers, machine)
    for digest in below:
        if digest not in marked.blobs:
            _remove_blob(machine, digest, freed)
    return freed


def _forget_broken(machine: Machine, marked: Marked) -> int:
    broken = []
    for key, layers, _ in machine.cache.records():
        if all(machine.blobs.exists(Digest.parse(layer.digest)) for layer in layers):
            marked.add_layers(layers, machine)
        else:
            broken.append(key)
    machine.cache.forget(broken)
    return len(broken)


def _present(machine: Machine, descriptor: Descriptor) -> Iterator[Descriptor]:
    """Yield an image's blobs as far as they can be told: of an index, a store often has one platform's image only."""
    seen: set[Digest] = set()
    waiting = [descriptor]
    while waiting:
        item = waiting.pop()
        if item.digest in seen:
            continue
        seen.add(item.digest)
        yield item
        with suppress(OciError):
            waiting.extend(children(machine.blobs, item))


def _remove_blob(machine: Machine, digest: Digest, freed: Freed) -> None:
    freed.size += machine.blobs.path(digest).stat().st_size if machine.blobs.exists(digest) else 0
    machine.blobs.remove(digest)
    freed.blobs.append(digest)


def snapshot_names(machine: Machine) -> tuple[str, ...]:
    """Return the names of all snapshots, whichever snapshotter made them."""
    return tuple(dict.fromkeys(name for keeper in present(machine.root) for name in keeper.names()))


def _sweep_snapshots(machine: Machine, needed: set[str], freed: Freed) -> None:
    """Remove snapshots, those that stand on others first: each round removes what nothing stands on any more."""
    keepers = present(machine.root)
    unused = {name: snapshot_size(machine, name) for name in snapshot_names(machine) if name not in needed}
    while unused:
        removed = [name for name in unused if all(_removed(keeper, name) for keeper in keepers)]
        if not removed:
            return
        freed.snapshots.extend(removed)
        freed.size += sum(unused.pop(name) for name in removed)


def _removed(keeper: Snapshotter, name: str) -> bool:
    try:
        keeper.remove(name)
    except SnapshotError:
        return False
    return True


def snapshot_size(machine: Machine, name: str) -> int:
    """Return the bytes that a snapshot takes on the disk, without those of its parents."""
    for kind in (OVERLAY, COPYING):
        with suppress(FileNotFoundError):
            return disk_usage(machine.root / kind / name.replace(":", "-"))
    return 0


def disk_usage(path: Path) -> int:
    """Return the bytes that a tree takes on the disk, a file with several names once."""
    total = 0
    seen: set[tuple[int, int]] = set()
    with Root.open_host(path) as root:
        for folder in folders(root.fd):
            for entry in folder.entries:
                identity = (entry.stat.st_dev, entry.stat.st_ino)
                if entry.stat.st_nlink == 1 or identity not in seen:
                    seen.add(identity)
                    total += entry.stat.st_blocks * 512
    return total
