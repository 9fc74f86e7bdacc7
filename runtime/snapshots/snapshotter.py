"""Terms of snapshots, and the protocol that each snapshotter follows.

*key*
    names an **active** snapshot: writable, made by `prepare`, seen by one process, gone after `commit` or `remove`.
*name*
    names a **committed** snapshot: never changed again. pybuild uses chain IDs (``sha256:...``), so the same tree
    reached by two ways is kept once.
*parent*
    the committed snapshot that an active one starts from; None for an empty root. With `prepare_on` it is an active
    one, until that is committed.
*lasting*
    a writable snapshot in a directory of the caller's, such as that of a container: no sweep removes it, and it
    outlives its process and the boot. The caller keeps its parent, or makes it again.

A commit under a name that exists already is not an error: another builder made the same tree first, and this one is
removed. Committed snapshots are derived data: each can be made again by unpacking the blobs of its layers. So a store
survives the loss of any of them, and those of an earlier boot are removed, since they may be incomplete.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Protocol

from pybuild.runtime.rootfs.roots import Root
from pybuild.runtime.snapshots.change import Change
from pybuild.runtime.values import frozen


def never() -> bool:
    """Return False: the *spare* of a parent that must stay."""
    return False


class DiskFormat(Enum):
    """In which form a layer is unpacked into the directory of an active snapshot."""

    OVERLAY = "overlay"
    """Only the difference: whiteouts are character devices 0:0, opaque directories carry the overlay xattr."""
    TREE = "tree"
    """The whole tree: what a whiteout names is removed when it is unpacked."""


@frozen
class Active:
    """A writable snapshot; a layer is unpacked into *directory* in the given *format*."""

    key: str
    parent: str | None
    directory: Path
    format: DiskFormat


class Snapshotter(Protocol):
    """Keeps trees by name, and makes writable ones that begin as one of them."""

    def exists(self, name: str) -> bool:
        """Return whether *name* is committed. Another process may remove it at any time."""
        ...

    def topmost(self, names: Sequence[str]) -> int:
        """Return how many of *names*, a chain of parents and children, need not be made: up to the last that exists."""
        ...

    def prepare(self, parent: str | None, *, spare: Callable[[], bool] = never) -> Active:
        """Make a new active snapshot. Raises NoSuchSnapshot when *parent* is not committed.

        A snapshotter that would have to copy the parent may use the tree of the parent itself, if *spare* returns that
        it can be made again. The parent is gone then, and `changes` works only if `root` was called before the tree was
        changed.
        """
        ...

    def prepare_on(self, below: Active) -> Active | None:
        """Make a new active snapshot on *below*, which is not changed any more; None where that is not possible.

        *below* may be committed once nothing opens the layers of the new one by their paths, after a command has ended.
        Then the caller sets the parent of the new one to its name.
        """
        ...

    def root(self, active: Active) -> Root:
        """Return the writable root of *active*, for the sandbox."""
        ...

    def view(self, name: str) -> Root:
        """Return the read-only root of a committed snapshot, for the sandbox. Raises NoSuchSnapshot."""
        ...

    def open(self, name: str | None) -> int:
        """Return a descriptor of the directory with the whole tree of a committed snapshot, an empty one for None.

        The caller closes it. No mount outlives it. Raises NoSuchSnapshot.
        """
        ...

    def changes(self, active: Active, before: Callable[[], int] | None = None) -> Iterator[Change]:
        """Yield what *active* changes over its parent: parents before children, names in byte order per directory.

        *before* opens the tree of the parent, which is made again if it is gone. It is called only if contents must be
        compared with those of a parent whose tree was taken over.
        """
        ...

    def make_lasting(self, directory: Path, parent: str | None) -> None:
        """Make a lasting snapshot on *parent* in the empty directory *directory*, on the disk of the store.

        Raises SnapshotError when *parent* is not committed.
        """
        ...

    def lasting_root(self, directory: Path, parent: str | None) -> Root:
        """Return the writable root of the lasting snapshot in *directory*. Raises SnapshotError as `make_lasting`."""
        ...

    def lasting_changes(self, directory: Path, parent: str | None) -> Iterator[Change]:
        """Yield what the lasting snapshot in *directory* changes over its parent, as `changes` does."""
        ...

    def commit(self, active: Active, name: str) -> None:
        """Give the tree its final *name*. *active* cannot be used any more."""
        ...

    def discard(self, active: Active) -> None:
        """Remove an active snapshot. Idempotent."""
        ...

    def remove(self, name: str) -> None:
        """Remove a committed snapshot. Idempotent. Raises SnapshotError while it is the parent of another one."""
        ...

    def retire(self, names: Iterable[str]) -> Iterator[tuple[str, Callable[[], None]]]:
        """Do the quick part of `remove` for *names*, children before their parents; leave those that others stand on.

        Yield each name that does not exist any more, and a function that frees its space. Nobody may make a snapshot on
        one of *names* meanwhile.
        """
        ...

    def begin_use(self, claim: Callable[[str], None]) -> None:
        """Call *claim* with the name of each snapshot before it is looked for, so that nobody removes it meanwhile."""
        ...

    def names(self) -> tuple[str, ...]:
        """Return the names of all committed snapshots."""
        ...

    def sweep(self) -> None:
        """Remove what crashed builders and former boots left behind. Snapshots in use, here or elsewhere, are kept."""
        ...
