"""Writing entries to a layer on top of a rootfs, with Docker's rules for parent directories and replaced entries.

A layer repeats the parent directories of its entries, with their owner and mode. A tool that unpacks a layer on its
own, like Docker's overlay2 driver, would otherwise create them with defaults, and ``/tmp`` would lose its mode.
"""

import stat
from collections.abc import Iterable

from pybuild.builder.content.trees import NodeKind, Tree, TreeNode, resolve
from pybuild.builder.errors import BuildError
from pybuild.builder.oci.layers.layer import LayerWriter, check_name
from pybuild.builder.oci.tar.entry import AS_BELOW, Entry, EntryKind
from pybuild.builder.oci.tar.writer import Parts
from pybuild.builder.plan.file_modes import MADE

_KINDS = {
    EntryKind.DIRECTORY: NodeKind.DIRECTORY,
    EntryKind.FILE: NodeKind.FILE,
    EntryKind.HARDLINK: NodeKind.FILE,
    EntryKind.SYMLINK: NodeKind.LINK,
}

_FILE = TreeNode(NodeKind.FILE)


class TreeWriter:
    """Adds entries to *layer*; *tree* is the rootfs below it.

    Parent directories that are missing get *owner* (None means root) and the time *now_ns*. With *passes_bit* they
    inherit the set-group-ID bit of the directory above.
    """

    def __init__(
        self,
        *,
        layer: LayerWriter,
        tree: Tree,
        owner: tuple[int, int] | None = None,
        now_ns: int = 0,
        passes_bit: bool = True,
    ) -> None:
        self.layer, self.tree = layer, tree
        self.owner, self.now_ns, self.passes_bit = owner, now_ns, passes_bit
        self.repeated = False
        """Whether a path was added a second time."""
        self._written: dict[str, TreeNode] = {}
        self._last = _FILE
        """The node of the last entry that is not a file."""
        self._kept: set[str] = set()
        """Directories in the layer that the tree has, too. It has nothing below all others, which may be many."""

    def lstat(self, path: str) -> TreeNode | None:
        """Return the entry at *path* in the layer, or else in the rootfs; None when there is none."""
        node = self._written.get(path)
        if node is not None or (path and self._is_new(path.rpartition("/")[0])):
            return node
        return self.tree.lstat(path)

    def _is_new(self, directory: str) -> bool:
        """Return whether the layer has created or replaced *directory*, so that the tree has nothing below it."""
        return directory in self._written and directory not in self._kept

    def resolve(self, path: str, top: str = "") -> tuple[str, TreeNode | None]:
        """Return *path* below *top* with its symlinks resolved, and the entry there, as `lstat` finds it."""
        return resolve(self, path, top)

    def add_directory(self, path: str, mode: int = MADE, mtime_ns: int | None = None) -> None:
        """Add the directory *path*, which has no symlinks in it, and its parents to the layer.

        A directory that exists keeps its owner and mode; a new one gets *mode*. The directory itself, but not its
        parents, gets the time *mtime_ns* if given, unless it is in the layer already. The root of a layer has no entry,
        so its time never changes.

        Raises:
            BuildError: the path, or a parent of it, exists and is not a directory.
        """
        waiting = [path]
        while (above := waiting[-1]) and above.rpartition("/")[0] not in self._written:
            waiting.append(above.rpartition("/")[0])
        while waiting:
            self._pass_through(waiting.pop(), mode, None if waiting else mtime_ns)

    def _pass_through(self, path: str, mode: int, mtime_ns: int | None) -> None:
        """Do as `add_directory` does, for a path whose parent directories are in the layer already."""
        written = self._written.get(path)
        node = written or self.lstat(path)
        entry = self._directory_entry(path, node, mode)
        if written is None and node is not None:
            self._kept.add(path)
        if node is not None and not path:
            self._written[""] = node
            return
        if written is not None:
            return
        self._add(entry if mtime_ns is None else entry.at(mtime_ns))

    def _directory_entry(self, path: str, node: TreeNode | None, mode: int) -> Entry:
        if node is None:
            mode, uid, gid = self._inherited(path, mode)
            return Entry(path=path, kind=EntryKind.DIRECTORY, mode=mode, uid=uid, gid=gid).at(self.now_ns)
        if node.kind != NodeKind.DIRECTORY:
            raise BuildError(f"cannot copy to non-directory: /{path}")
        entry = Entry(path, EntryKind.DIRECTORY, node.mode, node.uid, node.gid, mtime=node.mtime)
        return entry._replace(nanoseconds=AS_BELOW)

    def _inherited(self, path: str, mode: int) -> tuple[int, int, int]:
        """Return mode, uid and gid of a new directory at *path*: set-group-ID and the group are inherited."""
        above = self._written.get(path.rpartition("/")[0]) if path else None
        if above is None or not above.mode & stat.S_ISGID:
            return mode, *(self.owner or (0, 0))
        return mode | (stat.S_ISGID if self.passes_bit else 0), *(self.owner or (0, above.gid))

    def add_parents(self, path: str) -> None:
        """Add the parent directories of *path* to the layer."""
        if path:
            above = path.rpartition("/")[0]
            node = self._written.get(above)
            if node is None:
                self.add_directory(above)
            elif node.kind != NodeKind.DIRECTORY:
                raise BuildError(f"cannot copy to non-directory: /{above}")

    def put(self, entry: Entry, data: int | bytes | Parts | None = None, *, over: bool = False) -> None:
        """Add *entry*, whose path has no symlinks in it, and its parent directories.

        An entry for a directory that exists changes the owner and mode of the directory.

        Raises:
            BuildError: without *over*, a directory would replace something that is none, or the other way round.
        """
        existing = self.lstat(entry.path)
        is_directory = entry.kind is EntryKind.DIRECTORY
        if existing is not None and not over and is_directory != (existing.kind == NodeKind.DIRECTORY):
            if is_directory:
                raise BuildError(f"cannot copy to non-directory: /{entry.path}")
            raise BuildError(f"cannot replace to directory /{entry.path} with file")
        self.add_parents(entry.path)
        was_directory = existing is not None and existing.kind == NodeKind.DIRECTORY
        if is_directory != was_directory:
            self._kept.discard(entry.path)
        elif was_directory and entry.path not in self._written:
            self._kept.add(entry.path)
        if was_directory and not is_directory:
            self._forget_below(entry.path)
        self._add(entry, data)

    def is_free(self, paths: Iterable[str]) -> bool:
        """Return whether there is no entry at any of *paths*, which are in one directory."""
        above = ""
        for path in paths:
            # A directory that this layer made contains nothing else, so one look is enough for all paths.
            above = above or path.rpartition("/")[0]
            if self._is_new(above):
                return True
            if self.lstat(path) is not None:
                return False
        return True

    def splice(
        self, directories: Iterable[Entry], parts: Iterable[bytes | memoryview], times_ns: Iterable[int]
    ) -> None:
        """Add entries of one directory as the bytes *parts* from the archive of another layer.

        *directories* are the directories among the entries, *times_ns* the times of all. There is nothing at their
        paths (`is_free`), and the caller adds nothing there afterwards.
        """
        self.layer.splice(parts, times_ns)
        for entry in directories:
            self._note(entry, NodeKind.DIRECTORY)

    def _forget_below(self, path: str) -> None:
        for below in [name for name in self._written if name.startswith(f"{path}/")]:
            del self._written[below]
            self._kept.discard(below)

    def _add(self, entry: Entry, data: int | bytes | Parts | None = None) -> None:
        if "/.wh." in entry.path or entry.path.startswith(".wh."):
            check_name(entry.path)
        self.repeated = self.repeated or entry.path in self._written
        self.layer.add(entry, data)
        if entry.kind is EntryKind.FILE:
            # Only its kind is needed later. One value for all saves memory: a tree may have a million files.
            self._written[entry.path] = _FILE
            return
        self._note(entry, _KINDS.get(entry.kind, NodeKind.OTHER))

    def _note(self, entry: Entry, kind: NodeKind) -> None:
        node = TreeNode(kind, entry.mode, entry.uid, entry.gid, entry.mtime, entry.linkname)
        # Many directories of a large tree are alike, and made within one second.
        if node != self._last:
            self._last = node
        self._written[entry.path] = self._last
