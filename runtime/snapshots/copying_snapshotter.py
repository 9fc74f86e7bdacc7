"""The snapshotter that works on any file system: each snapshot is a whole tree.

An active snapshot takes over the tree of its parent if nobody reads that and it can be unpacked again, else it has a
copy of it.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from pybuild.runtime.errors import NoSuchSnapshot, SnapshotError
from pybuild.runtime.paths.filelock import exclusive, still_at
from pybuild.runtime.rootfs.roots import DirectoryRoot, Root
from pybuild.runtime.snapshots.change import Change
from pybuild.runtime.snapshots.changes import tree_changes
from pybuild.runtime.snapshots.copy_mark import COPIED, is_copy
from pybuild.runtime.snapshots.disk import SnapshotDirectory, make_root_directory, new_key
from pybuild.runtime.snapshots.snapshotter import Active, DiskFormat, never
from pybuild.runtime.snapshots.tree_copies import copy_open_tree
from pybuild.runtime.snapshots.tree_listing import drop_listing, is_listed, list_tree, listed_changes

_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LOCKED = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class CopyingSnapshotter(SnapshotDirectory):
    """Whole trees in *directory*; see `Snapshotter` for what the methods promise.

    A process that reads a tree has a shared lock on its root directory. A tree that nobody has locked may be taken
    over: the committed snapshot is gone then. The directory of an active snapshot also holds ``copied``, a file made
    right after the copy: files that changed later have a later change time, so that `changes` reads only few others. A
    tree that was taken over has a listing beside it (`tree_listing.py`), made before the first process sees the tree.
    """

    def __init__(self, directory: Path) -> None:
        """Use *directory*, which is created when it is missing."""
        super().__init__(directory)
        self._sources: dict[str, int] = {}
        """The open and locked parents of the active snapshots that are copies, by the keys of these."""
        self._viewed: dict[str, int] = {}
        """The open and locked trees of which `view` returned the root, by name."""
        self._taken: set[str] = set()
        """The keys of the active snapshots that took over their tree."""

    def begin_use(self, claim: Callable[[str], None]) -> None:
        """See `SnapshotDirectory.begin_use`."""
        super().begin_use(claim)
        while self._viewed:
            os.close(self._viewed.popitem()[1])

    def exists(self, name: str) -> bool:
        """See `Snapshotter.exists`."""
        return self._committed(name) is not None

    def topmost(self, names: Sequence[str]) -> int:
        """See `Snapshotter.topmost`. Parents may be missing, because their trees were taken over."""
        there = set(self._names_on_disk())
        found = (count for count in range(len(names), 0, -1) if names[count - 1] in there)
        return next((count for count in found if self.exists(names[count - 1])), 0)

    def prepare(self, parent: str | None, *, spare: Callable[[], bool] = never) -> Active:
        """See `Snapshotter.prepare`."""
        if parent is not None and spare() and (taken := self._take_over(parent)) is not None:
            return taken
        source = None if parent is None else self.open(parent)
        path = self._begin(parent)
        active = Active(key=path.name, parent=parent, directory=path / "fs", format=DiskFormat.TREE)
        try:
            if source is not None:
                self._sources[active.key] = source
                _copy(source, active.directory)
            (path / COPIED).touch()
        except BaseException:
            self.discard(active)
            raise
        return active

    def prepare_on(self, below: Active) -> Active | None:  # noqa: ARG002
        """See `Snapshotter.prepare_on`. The tree would be copied while it is read."""
        return None

    def root(self, active: Active) -> Root:
        """See `Snapshotter.root`."""
        path = self._active_path(active)
        if active.key in self._taken and not is_listed(path):
            list_tree(path, path / COPIED)
        return DirectoryRoot(path=path / "fs")

    def view(self, name: str) -> Root:
        """See `Snapshotter.view`. The tree is not taken over before the use of the store ends."""
        tree = self.open(name)
        if self._viewed.setdefault(name, tree) != tree:
            os.close(tree)
        return DirectoryRoot(path=self._tree(name), read_only=True)

    def open(self, name: str | None) -> int:
        """See `Snapshotter.open`. The tree is not taken over before the descriptor is closed."""
        if name is None:
            return os.open(self._directory / "empty", _LOCKED)
        path = self._tree(name)
        with suppress(FileNotFoundError):
            tree = os.open(path, _LOCKED)
            try:
                # A process that takes the tree over has it locked while it looks for readers.
                fcntl.flock(tree, fcntl.LOCK_SH)
                is_there = still_at(tree, path)
            except BaseException:
                os.close(tree)
                raise
            if is_there:
                return tree
            os.close(tree)
        raise NoSuchSnapshot(name)

    def changes(self, active: Active, before: Callable[[], int] | None = None) -> Iterator[Change]:
        """See `Snapshotter.changes`."""
        path = self._active_path(active)
        if active.key not in self._taken:
            yield from copied_changes(path, self._sources.get(active.key))
        elif is_listed(path):
            yield from listed_changes(path, path / COPIED, before or self._lost(active))
        else:
            # Without a listing nothing is known of the tree before: `root` was not called.
            raise SnapshotError(f"nothing has seen the tree of {active.key}, which was taken over")

    def commit(self, active: Active, name: str) -> None:
        """See `Snapshotter.commit`."""
        super().commit(active, name)
        self._forget(active)

    def discard(self, active: Active) -> None:
        """See `Snapshotter.discard`."""
        super().discard(active)
        self._forget(active)

    def make_lasting(self, directory: Path, parent: str | None) -> None:
        """See `Snapshotter.make_lasting`."""
        source = self.open(parent)
        try:
            make_root_directory(directory)
            if parent is not None:
                _copy(source, directory / "fs")
        finally:
            os.close(source)
        (directory / COPIED).touch()

    def lasting_root(self, directory: Path, parent: str | None) -> Root:
        """See `Snapshotter.lasting_root`."""
        if parent is not None and not is_copy(directory):
            raise SnapshotError(f"{directory} is an overlay, and overlayfs cannot be used now")
        return DirectoryRoot(path=directory / "fs")

    def lasting_changes(self, directory: Path, parent: str | None) -> Iterator[Change]:
        """See `Snapshotter.lasting_changes`."""
        old = self.open(parent)
        try:
            yield from copied_changes(directory, old)
        finally:
            os.close(old)

    def _take_over(self, parent: str) -> Active | None:
        """Make *parent* an active snapshot; None while somebody reads it. Raises NoSuchSnapshot when there is none."""
        path = self._tree(parent).parent
        self._sweep_once()
        key = new_key()
        # Under this lock nobody removes the snapshot.
        with exclusive(self._directory / "lock"):
            locks = _lock_unread(path)
            if locks is None:
                return None
            lock, tree = locks
            try:
                path.rename(self._directory / key)
            finally:
                os.close(tree)  # not earlier: who waits for it, to read the tree, must find it gone from its place
        self._parents.pop(path.name, None)
        self._held[key] = lock
        self._taken.add(key)
        active = Active(key=key, parent=parent, directory=self._directory / key / "fs", format=DiskFormat.TREE)
        try:
            # Written although it has this content: its change time must not be before the last change of the tree
            # (`list_tree`).
            (self._directory / key / "boot").unlink()
            (self._directory / key / "parent").write_text(parent, encoding="ascii")
        except BaseException:
            self.discard(active)
            raise
        return active

    def _forget(self, active: Active) -> None:
        self._taken.discard(active.key)
        if (source := self._sources.pop(active.key, None)) is not None:
            os.close(source)

    def _seal(self, path: Path) -> None:
        (path / COPIED).unlink(missing_ok=True)
        drop_listing(path)

    def _lost(self, active: Active) -> Callable[[], int]:
        """Return the *before* of a caller that has none: the parent is opened, if another process has made it again."""
        return lambda: self.open(active.parent)

    def _tree(self, name: str) -> Path:
        path = self._committed(name)
        if path is None:
            raise NoSuchSnapshot(name)
        return path / "fs"


def copied_changes(directory: Path, old: int | None) -> Iterator[Change]:
    """Yield what changed in the copy in *directory* of the open tree *old*, None for an empty one."""
    new = os.open(directory / "fs", _DIRECTORY)
    try:
        yield from tree_changes(old, new, copied_ns=(directory / COPIED).stat().st_ctime_ns)
    finally:
        os.close(new)


def _copy(source: int, directory: Path) -> None:
    target = os.open(directory, _DIRECTORY)
    try:
        copy_open_tree(source, target)
    finally:
        os.close(target)


def _lock_unread(path: Path) -> tuple[int, int] | None:
    """Return locks of the committed snapshot at *path* and of its tree; None when somebody reads it, or removes it.

    Raises NoSuchSnapshot.
    """
    opened: list[int] = []
    try:
        for name in (path, path / "fs"):
            opened.append(os.open(name, _LOCKED))
            fcntl.flock(opened[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        for fd in opened:
            os.close(fd)
        if isinstance(error, FileNotFoundError):
            raise NoSuchSnapshot(path.name) from None
        if isinstance(error, BlockingIOError):
            return None
        raise
    return opened[0], opened[1]
