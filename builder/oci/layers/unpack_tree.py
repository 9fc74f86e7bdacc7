"""The directories of a layer that is being unpacked: resolving paths of an archive without ever leaving the root.

A path is resolved name by name, each in one open directory, and the kernel follows no symlinks. The target of a symlink
is resolved in the same way, starting again at the root of the tree if it is absolute. So no name in an archive, no
symlink of a lower layer and no race can lead outside.

A layer is unpacked in one of two formats (`runtime.snapshots.snapshotter.DiskFormat`):

- *overlay*: the directory contains this layer alone. Paths are resolved in the union of it and the parent snapshot, as
  if the layer were unpacked on the mounted overlay: if the parent has ``lib -> usr/lib``, the entry ``lib/x`` becomes
  ``usr/lib/x``. Directories on the way that the archive does not list get the status that they have in the parent
  snapshot, because the new directory hides that one.
- *tree*: the directory is a copy of the parent snapshot, and whiteouts remove files from it at once.

Most archives list what is in a directory soon after it. So an overlay forgets directories that were listed, some time
after they were last used (`OpenDirectories`), and finds them on the disk if they are named again.

A whiteout removes files of lower layers and never those of its own layer, in whatever order the archive has them
(image-spec, layer.md, "Whiteouts"). In an overlay whiteouts are collected and written at the end. In a tree
`Directory.made` and `Directory.ours` contain the names that this layer has.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress

from pybuild.builder.oci.errors import LayerError
from pybuild.builder.oci.layers.unpack_directory import Directory, OpenDirectories, added, join
from pybuild.builder.oci.layers.unpack_metadata import give
from pybuild.runtime.kernel.syscalls import MAX_LINKS
from pybuild.runtime.paths.filelock import remove_tree
from pybuild.runtime.paths.safepath import Root

_MAX_ALIASES = 4096
"""Paths whose directories are remembered. An archive may have millions of paths."""


class _NoDirectoryError(LayerError):
    """A file on the way to an entry is not a directory."""


class UnpackTree:
    """The directories below *root_fd*. `close` closes the directories that were opened, but not *root_fd*."""

    def __init__(self, root_fd: int, lower: Root | None, *, overlay: bool, limit: int) -> None:
        self.overlay, self.lower = overlay, lower if overlay else None
        self.root = Directory(None, "")
        self.root.fd, self.root.in_lower = root_fd, self.lower is not None
        if not overlay:
            self.root.mtime_ns = os.fstat(root_fd).st_mtime_ns
        self._limit = limit
        self._known: dict[str, Directory] = {"": self.root}
        self._open = OpenDirectories(forgetful=overlay)
        self.fd = self._open.fd
        self.forget_closed = self._open.forget_closed

    def close(self) -> None:
        """Close all open directories. The tree cannot be used afterwards."""
        self._open.close()
        # A directory and its children refer to each other, so without this they would stay in memory until the next
        # garbage collection.
        todo = [self.root]
        while todo:
            directory = todo.pop()
            todo += directory.children.values()
            directory.children.clear()

    def recall(self, here: Directory, name: str) -> None:
        """Know the directory *name* of *here* again, if this layer has made one and it was forgotten (overlay)."""
        if name not in here.children:
            with suppress(FileNotFoundError):
                found = os.stat(name, dir_fd=self.fd(here), follow_symlinks=False)
                if stat.S_ISDIR(found.st_mode):
                    self._adopt(here, name, found.st_mtime_ns)

    def _remembered(self, path: str) -> Directory | None:
        known = self._known.get(path)
        return None if known is None or known.forgotten else known

    def directory(self, path: str) -> Directory:
        """Return the directory at *path*; missing directories are created.

        Raises:
            LayerError: a file on the way is not a directory, or there are too many symlinks.
        """
        return self._remembered(path) or self._walk(path, missing=self.make_directory)

    def find(self, path: str) -> Directory | None:
        """Return the directory at *path*, None when neither this layer nor a lower one has it."""
        try:
            return self._remembered(path) or self._walk(path, missing=_not_found)
        except (FileNotFoundError, _NoDirectoryError):
            return None

    def _walk(self, path: str, missing: Callable[[Directory, str], Directory]) -> Directory:
        here, links = self.root, 0
        todo = path.split("/")[::-1]
        while todo:
            name = todo.pop()
            if name in {"", "."}:
                continue
            if name == "..":
                here = here.parent or here
                continue
            found = here.children.get(name) or self._look(here, name) or missing(here, name)
            if isinstance(found, Directory):
                here = found
                continue
            links += 1
            if links > MAX_LINKS:
                raise LayerError(f"{path!r}: too many levels of symbolic links")
            todo += found.split("/")[::-1]
            if found.startswith("/"):
                here = self.root
        if len(self._known) > _MAX_ALIASES:
            self.forget_paths()
        self._known[path] = here
        return here

    def _look(self, here: Directory, name: str) -> Directory | str | None:
        """Return the entry *name* of *here*: a directory, the target of a symlink, or None when there is none."""
        try:
            found = os.stat(name, dir_fd=self.fd(here), follow_symlinks=False)
        except FileNotFoundError:
            return self._look_below(here, name)
        if stat.S_ISLNK(found.st_mode):
            return os.readlink(name, dir_fd=self.fd(here))
        if not stat.S_ISDIR(found.st_mode):
            raise _NoDirectoryError(f"{join(here, name)!r} is no directory, but there are entries below it")
        return self._adopt(here, name, found.st_mtime_ns)

    def _look_below(self, here: Directory, name: str) -> Directory | str | None:
        """Return the entry in the parent snapshot, unless this layer hides it."""
        if self.lower is None or name in here.whiteouts or not here.shows_lower:
            return None
        found = self.lower_stat(here, name)
        if found is None:
            return None
        if stat.S_ISLNK(found.st_mode):
            here.links = added(here.links, name)
            return self.lower.readlink(join(here, name))
        if not stat.S_ISDIR(found.st_mode):
            raise _NoDirectoryError(f"{join(here, name)!r} is no directory, but there are entries below it")
        return self.make_directory(here, name)

    def lower_stat(self, directory: Directory, name: str = "") -> os.stat_result | None:
        """Return the status of *name* in *directory*, or of *directory*, in the parent snapshot, None if absent."""
        if self.lower is None or not directory.in_lower:
            return None
        return self.lower.stat(join(directory, name) if name else directory.path, follow=False)

    def _adopt(self, here: Directory, name: str, mtime_ns: int) -> Directory:
        """Return an existing directory: in a *tree* of the parent snapshot, in an overlay one that was forgotten."""
        directory = self._add(here, name)
        directory.mtime_ns = mtime_ns
        if self.overlay:
            directory.explicit = directory.ours = True
        else:
            self.count_one()
        return directory

    def make_directory(self, here: Directory, name: str) -> Directory:
        """Create a directory in *here*, with mode 0755, owned by root. Raises FileExistsError when *name* exists."""
        if name.startswith(".wh."):
            raise LayerError(f"{join(here, name)!r} cannot be the name of a directory in a layer")
        # For nobody else until it has its owner; files have the mode 0600 until then.
        os.mkdir(name, 0o700, dir_fd=self.fd(here))
        self.cover(here, name)
        self.count_one()
        directory = self._add(here, name)
        fd = self.fd(directory)
        give(fd, 0, 0)
        os.fchmod(fd, 0o755)
        return directory

    def _add(self, here: Directory, name: str) -> Directory:
        directory = Directory(here, name)
        below = self.lower_stat(here, name)
        directory.in_lower = below is not None and stat.S_ISDIR(below.st_mode)
        here.children[name] = directory
        return directory

    def count_one(self) -> None:
        """Count an object that stays in memory until the end of the layer; too many are a LayerError."""
        self._limit -= 1
        if self._limit < 0:
            raise LayerError("too many directories and whiteouts in one layer")

    def enter(self, here: Directory, name: str) -> Directory:
        """Return the directory *name* of *here*. A file or symlink with this name is replaced by a new directory."""
        directory = here.children.get(name)
        if directory is not None:
            return directory
        try:
            return self.make_directory(here, name)
        except FileExistsError:
            found = os.stat(name, dir_fd=self.fd(here), follow_symlinks=False)
        if stat.S_ISDIR(found.st_mode):
            return self._adopt(here, name, found.st_mtime_ns)
        self.remove(here, name)
        directory = self.make_directory(here, name)
        # In an overlay the removed file was of this layer. It hid a lower directory of this name with all its entries,
        # and so must the new directory.
        directory.opaque = self.overlay
        return directory

    def cover(self, here: Directory, name: str) -> None:
        """Note that this layer has a new entry *name*, which hides a symlink of the parent snapshot."""
        if name in here.links:
            here.links.discard(name)
            self.forget_paths()

    def remove(self, here: Directory, name: str) -> None:
        """Remove *name* in *here* with everything below it."""
        remove_tree(self.fd(here), name)
        here.children.pop(name, None)
        here.made.discard(name)
        here.copied.discard(name)
        self.forget_paths()

    def forget_paths(self) -> None:
        """Forget how paths were resolved, after a change that may resolve them otherwise."""
        self._known.clear()
        self._known[""] = self.root

    def directories(self, top: Directory | None = None) -> Iterator[Directory]:
        """Yield *top*, by default the root, and all known directories below it, each before its children."""
        todo = [top or self.root]
        while todo:
            directory = todo.pop()
            yield directory
            todo += directory.children.values()


def _not_found(_here: Directory, name: str) -> Directory:
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
