"""Terms of snapshots, and the protocol that each snapshotter follows.

*key*
    names an **active** snapshot: writable, made by `prepare`, seen by one process, gone after `commit` or `remove`.
*name*
    names a **committed** snapshot: never changed again. pybuild uses chain IDs (``sha256:...``), so the same tree
    reached by two ways is kept once.
*parent*
    the committed snapshot that an active one starts from; None for an empty root. An active snapshot is never a parent.
*lasting*
    a writable snapshot in a directory of the caller's, such as that of a container: no sweep removes it, and it
    outlives its process and its boot. Its parent is kept, or made again, by whoever has it.

A commit under a name that exists already is not an error: another builder made the same tree first, and this copy is
dropped. Committed snapshots are derived data: each can be made again by unpacking the blob of its layer, so a store
survives the loss of any of them, and after an unclean boot they are dropped rather than trusted.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

from pybuild.runtime.rootfs.roots import Root
from pybuild.runtime.snapshots.change import Change


def never() -> bool:
    """Return False."""
    return False


class DiskFormat(Enum):
    """How a layer lies in the directory of an active snapshot."""

    OVERLAY = "overlay"
    """Only the difference: whiteouts are character devices 0:0, opaque directories carry the overlay xattr."""
    TREE = "tree"
    """The whole tree: a whiteout is carried out at once."""


@dataclass(frozen=True, slots=True)
class Active:
    """A writable snapshot; a layer is unpacked into *directory* in the given *format*."""

    key: str
    parent: str | None
    directory: Path
    format: DiskFormat


class Snapshotter(Protocol):
    """Keeps trees by name and hands out writable ones that start from them."""

    def exists(self, name: str) -> bool:
        """Return whether *name* is committed (at some moment; another process may remove it)."""
        ...

    def topmost(self, names: Sequence[str]) -> int:
        """Return how many of *names*, snapshots on top of each other, need not be made: up to the last that exists."""
        ...

    def prepare(self, parent: str | None, *, spare: Callable[[], bool] = never) -> Active:
        """Make a new active snapshot. Raises NoSuchSnapshot when *parent* is not committed.

        Where this saves a copy, and *spare* returns that the parent can be made again, its tree becomes that of the new
        snapshot, and the parent is gone. `root` is then to be called before the tree is changed, or no `changes` is.
        """
        ...

    def root(self, active: Active) -> Root:
        """Return the writable root of *active*, for the sandbox."""
        ...

    def view(self, name: str) -> Root:
        """Return the read-only root of a committed snapshot, for the sandbox. Raises NoSuchSnapshot."""
        ...

    def open(self, name: str | None) -> int:
        """Return an O_DIRECTORY file descriptor of the whole tree of a committed snapshot (None: empty tree).

        Nothing is mounted anywhere that outlives the descriptor; the caller closes it. Raises NoSuchSnapshot.
        """
        ...

    def changes(self, active: Active, before: Callable[[], int] | None = None) -> Iterator[Change]:
        """Yield what *active* changes over its parent: parents before children, names in byte order per directory.

        *before* opens the tree of the parent, made again if it is gone; called where there is no other way to tell.
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
        """Give the tree its final *name*; the active snapshot is gone afterwards."""
        ...

    def discard(self, active: Active) -> None:
        """Drop an active snapshot. Idempotent."""
        ...

    def remove(self, name: str) -> None:
        """Drop a committed snapshot. Idempotent. Raises SnapshotError while others stand on it: they go first."""
        ...

    def retire(self, name: str) -> Callable[[], None]:
        """Do the part of `remove` that takes no time: it is out of sight; return what frees the space."""
        ...

    def begin_use(self, claim: Callable[[str], None]) -> None:
        """Call *claim* with the name of each snapshot before it is looked for."""
        ...

    def names(self) -> tuple[str, ...]:
        """Return the names of all committed snapshots."""
        ...

    def sweep(self) -> None:
        """Remove what crashed builders and former boots left behind. Snapshots in use, here or elsewhere, are kept."""
        ...
