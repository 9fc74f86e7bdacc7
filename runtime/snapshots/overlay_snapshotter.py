"""The snapshotter on overlayfs: a committed snapshot is the difference to its parent, in the format of overlayfs.

Whole trees are read through detached mounts. Such a mount is attached to no directory and ends with its descriptor, so
a builder that is killed leaves none.
"""

import os
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from pybuild.runtime.errors import NoSuchSnapshot, SnapshotError, TooManyLayers
from pybuild.runtime.kernel import syscalls
from pybuild.runtime.paths.filelock import make_locked_directory, remove_tree
from pybuild.runtime.paths.safepath import Root as SafeRoot
from pybuild.runtime.rootfs.roots import DirectoryRoot, OverlayRoot, Root
from pybuild.runtime.snapshots.change import Change
from pybuild.runtime.snapshots.changes import overlay_changes, overlay_xattr_prefix
from pybuild.runtime.snapshots.copy_mark import is_copy
from pybuild.runtime.snapshots.copying_snapshotter import copied_changes
from pybuild.runtime.snapshots.disk import SnapshotDirectory, make_root_directory
from pybuild.runtime.snapshots.overlay_mount import MAX_LOWERS, UNSUPPORTED, OpenLayers, mount_classic, mount_detached
from pybuild.runtime.snapshots.snapshotter import Active, DiskFormat, never
from pybuild.runtime.snapshots.tree_copies import copy_status

_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_INERT = syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NODEV | syscalls.MOUNT_ATTR_NOEXEC


class OverlaySnapshotter(SnapshotDirectory):
    """Snapshots as differences, in *directory*. `Snapshotter` documents the methods.

    An active snapshot has a directory ``work`` as well, which overlayfs needs. A snapshot without a parent is a plain
    tree, because there are no lower files that a whiteout could hide.
    """

    def __init__(self, directory: Path) -> None:
        """Use *directory*, which is created when it is missing."""
        super().__init__(directory)
        self._chains: dict[str, tuple[Path, ...]] = {}

    def begin_use(self, claim: Callable[[str], None]) -> None:
        """See `SnapshotDirectory.begin_use`."""
        super().begin_use(claim)
        self._chains.clear()

    def exists(self, name: str) -> bool:
        """See `Snapshotter.exists`; a snapshot whose chain of parents is broken does not exist."""
        try:
            self._chain(name)
        except SnapshotError:
            return False
        return True

    def topmost(self, names: Sequence[str]) -> int:
        """See `Snapshotter.topmost`. A bisection, because a snapshot that exists has all of its parents."""
        if not names or self.exists(names[-1]):
            return len(names)
        return bisect_left(range(len(names) - 1), True, key=lambda index: not self.exists(names[index]))

    def prepare(self, parent: str | None, *, spare: Callable[[], bool] = never) -> Active:  # noqa: ARG002 - as it is
        """See `Snapshotter.prepare`. The parent stays, because nothing has to be copied."""
        top = None if parent is None else self._chain(parent)[0]
        path = self._begin(parent)
        layer_format = DiskFormat.TREE if parent is None else DiskFormat.OVERLAY
        active = Active(key=path.name, parent=parent, directory=path / "fs", format=layer_format)
        try:
            (path / "work").mkdir(mode=0o700)
            if top is not None:
                # The root of an overlay has the owner, mode and times of its upper directory, so those are made the
                # ones of the parent.
                _copy_directory_status(top, active.directory)
        except BaseException:
            self.discard(active)
            raise
        return active

    def prepare_on(self, below: Active) -> Active | None:
        """See `Snapshotter.prepare_on`."""
        lowers = () if below.parent is None else self._chain(below.parent)
        if len(lowers) == MAX_LOWERS:
            return None
        self._chains[below.key] = (below.directory, *lowers)
        return self.prepare(below.key)

    def commit(self, active: Active, name: str) -> None:
        """See `Snapshotter.commit`."""
        path = self._active_path(active)
        if active.parent != self._parent(path):  # one of `prepare_on`, which has been committed since
            (path / "parent").write_text(active.parent or "", encoding="ascii")
        super().commit(active, name)

    def root(self, active: Active) -> Root:
        """See `Snapshotter.root`."""
        path = self._active_path(active)
        if active.parent is None:
            return DirectoryRoot(path=path / "fs")
        lowers = self._chain(active.parent)[::-1]
        return OverlayRoot(lowers=lowers, upper=path / "fs", work=path / "work")

    def view(self, name: str) -> Root:
        """See `Snapshotter.view`."""
        lowers = self._chain(name)[::-1]
        return OverlayRoot(lowers=lowers) if len(lowers) > 1 else DirectoryRoot(path=lowers[0], read_only=True)

    def open(self, name: str | None) -> int:
        """See `Snapshotter.open`."""
        lowers = (self._directory / "empty",) if name is None else self._chain(name)
        if len(lowers) == 1:  # overlayfs refuses a single lower directory without an upper one
            return os.open(lowers[0], _DIRECTORY)
        return mount_tree(lowers, self._directory)

    def changes(self, active: Active, before: Callable[[], int] | None = None) -> Iterator[Change]:  # noqa: ARG002
        """See `Snapshotter.changes`."""
        yield from self._changes(self._active_path(active), active.parent)

    def _changes(self, path: Path, parent: str | None) -> Iterator[Change]:
        with SafeRoot.open_host(path / "fs") as upper:
            # After a step that changed nothing the directory is empty, and the parent need not be mounted.
            if os.listdir(path / "fs"):
                with SafeRoot(self.open(parent)) as lower:
                    yield from overlay_changes(upper.fd, lower)

    def make_lasting(self, directory: Path, parent: str | None) -> None:
        """See `Snapshotter.make_lasting`."""
        top = None if parent is None else self._chain(parent)[0]
        make_root_directory(directory)
        if top is not None:
            (directory / "work").mkdir(mode=0o700)
            _copy_directory_status(top, directory / "fs")

    def lasting_root(self, directory: Path, parent: str | None) -> Root:
        """See `Snapshotter.lasting_root`."""
        if parent is None or is_copy(directory):
            return DirectoryRoot(path=directory / "fs")
        lowers = self._chain(parent)[::-1]
        return OverlayRoot(lowers=lowers, upper=directory / "fs", work=directory / "work", lasting=True)

    def lasting_changes(self, directory: Path, parent: str | None) -> Iterator[Change]:
        """See `Snapshotter.lasting_changes`."""
        if not is_copy(directory):
            yield from self._changes(directory, parent)
            return
        with SafeRoot(self.open(parent)) as old:
            yield from copied_changes(directory, old.fd)

    def _seal(self, path: Path) -> None:
        self._chains.pop(path.name, None)
        remove_inside(path, "work")

    def _chain(self, name: str) -> tuple[Path, ...]:
        """Return the ``fs`` directories of *name* and its parents, topmost first.

        A remembered chain is valid as long as its topmost directory exists, because a parent is never removed before
        its children.
        """
        known = self._chains.get(name)
        if known is None or not known[0].exists():
            known = self._chains[name] = self._found_chain(name)
        return known

    def _found_chain(self, name: str) -> tuple[Path, ...]:
        chain: list[Path] = []
        following: str | None = name
        while following is not None:
            path = self._committed(following)
            if path is None:
                raise NoSuchSnapshot(following)
            chain.append(path / "fs")
            following = self._parent(path)
            # Mostly the chain of the parent is remembered, since each step of a build adds one directory to it.
            if (known := self._chains.get(following or "")) and known[0].exists():
                chain.extend(known)
                break
        if len(chain) > MAX_LOWERS:
            raise TooManyLayers(f"more than {MAX_LOWERS} layers on top of each other")
        return tuple(chain)


def open_root(root: Root, scratch: Path) -> int:
    """Return an O_PATH descriptor of the tree of *root*, as a detached mount. No sandbox may use *root* meanwhile.

    overlayfs does not define what happens when two mounts share an upper directory.
    """
    if isinstance(root, DirectoryRoot):
        return os.open(root.path, _DIRECTORY)
    return mount_tree(root.lowers[::-1], scratch, upper=root.upper, work=root.work, lasting=root.lasting)


def mount_tree(
    lowers: Sequence[Path],
    scratch: Path,
    *,
    upper: Path | None = None,
    work: Path | None = None,
    lasting: bool = False,
) -> int:
    """Make a detached mount of an overlay of *lowers*, topmost first; return an O_PATH descriptor of its root.

    On kernels that cannot do that it is mounted in the directory *scratch* for a moment.
    """
    # The mount has references of its own to the directories. Their descriptors are only needed to name them.
    with ExitStack() as stack:

        def opened(path: Path) -> int:
            fd = os.open(path, _DIRECTORY)
            stack.callback(os.close, fd)
            return fd

        writable = (opened(upper), opened(work)) if upper and work else ()
        user = overlay_xattr_prefix().startswith("user.")
        layers = OpenLayers(tuple(map(opened, lowers)), writable, userxattr=user, lasting=lasting)
        attributes = _INERT if upper else _INERT | syscalls.MOUNT_ATTR_RDONLY
        try:
            return mount_detached(layers, attributes)
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                raise
            return _mount_and_detach(layers, attributes, scratch)


def _mount_and_detach(layers: OpenLayers, attributes: int, scratch: Path) -> int:
    """Mount with mount(2) and detach the mount at once; it exists until the descriptor is closed."""
    point, lock = make_locked_directory(scratch, "tmp-")
    try:
        mount_classic(layers, attributes, os.fspath(point))
        try:
            return os.open(point, _DIRECTORY)
        finally:
            syscalls.umount2(os.fspath(point), syscalls.MNT_DETACH)
    finally:
        remove_inside(scratch, point.name)
        os.close(lock)


def _copy_directory_status(source: Path, target: Path) -> None:
    with SafeRoot(os.open(source, _READ)) as old, SafeRoot(os.open(target, _READ)) as new:
        copy_status(old.fd, new.fd, os.fstat(old.fd))


def remove_inside(directory: Path, name: str) -> None:
    """Remove the file or tree *name* in *directory*."""
    with SafeRoot.open_host(directory) as root:
        remove_tree(root.fd, name)
