"""COPY and ADD: the selected files as a layer, written straight from their source.

The destination is resolved in the rootfs like in a process in the image; a symlink is never followed out of it. What is
copied depends on the source (file or directory) and on the destination (a trailing slash, an existing directory).
"""

import os
import stat
import time
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING

from pybuild.builder.content.file_digests import changed, open_selected, read_small, state_of
from pybuild.builder.content.selections import Selected, inline_group
from pybuild.builder.content.source_tree import Group, Item, SourceTree
from pybuild.builder.content.trees import EmptyTree, NodeKind
from pybuild.builder.errors import BuildError
from pybuild.builder.execute.job import Work
from pybuild.builder.execute.owner import owner_of
from pybuild.builder.execute.tree_writer import TreeWriter
from pybuild.builder.oci.layers.host_entry import entry_of
from pybuild.builder.oci.layers.layer import Layer, LayerWriter
from pybuild.builder.oci.tar.entry import Entry, EntryKind
from pybuild.builder.plan.file_modes import mode_of_made, parse_mode
from pybuild.builder.plan.ops import Copy, Inline
from pybuild.runtime.paths.safepath import Root

if TYPE_CHECKING:
    from pybuild.builder.execute.earlier_layer import EarlierLayer

_MANY = 500
"""With this many entries or more, their positions in the layer are remembered (`earlier_layer`)."""
_SMALL = 64 << 10
"""A file of at most this many bytes is read as a whole."""


def copy(op: Copy, work: Work) -> Layer:
    """Write the layer of a COPY or ADD. Raises BuildError when source and destination do not fit."""
    if sum(len(group.items) for chosen in work.selected for group in chosen.groups) < _MANY:
        return _copy(op, work, None)
    # Imported here because most copies have fewer entries.
    from pybuild.builder.execute.earlier_layer import earlier_layer

    with earlier_layer(op, work) or nullcontext() as earlier:
        return _copy(op, work, earlier)


def _copy(op: Copy, work: Work, earlier: "EarlierLayer | None") -> Layer:
    owner = owner_of(op.chown, work) if op.chown else None
    # With --link the layer must fit any rootfs, so this one is not read.
    with nullcontext(EmptyTree()) if op.link else work.tree() as tree, work.writer() as layer:
        writer = TreeWriter(layer=layer, tree=tree, owner=owner, now_ns=time.time_ns())
        copier = _Copier(op, writer, owner, earlier)
        with closing(copier):
            copier.copy_all(work.selected)
        if writer.repeated:
            return _rewrite_without_repeats(layer, work, on_root=not op.link)
        return layer.commit() if earlier is None else earlier.commit(layer)


def _rewrite_without_repeats(layer: LayerWriter, work: Work, *, on_root: bool) -> Layer:
    """Write *layer* again with the last entry of each path only: ``docker load`` refuses a layer with two.

    The layer is unpacked, and the changes are packed as after a RUN.
    """
    from pybuild.builder.oci.layers.pack import pack_changes

    snapshots = work.store.snapshots
    with work.store.trees.unpacking(work.job.root if on_root else ()) as unpacking, work.writer() as again:
        with layer.reread() as stream:
            unpacking.unpack_layer(stream, None, layer.nanoseconds)
        with Root.open_host(unpacking.active.directory) as directory:
            pack_changes(again, directory.fd, snapshots.changes(unpacking.active))
        return again.commit()


class _Copier:
    def __init__(
        self, op: Copy, writer: TreeWriter, owner: tuple[int, int] | None, earlier: "EarlierLayer | None"
    ) -> None:
        self.op, self.writer, self.owner, self.earlier = op, writer, owner, earlier
        self.mode = parse_mode(op.chmod) if op.chmod else None
        self.made = mode_of_made(op.chmod)
        """The mode of directories that the copy creates: its destination and its parents."""
        self._links: dict[tuple[int, int], str] = {}
        self._directory: tuple[str, int] = ("", -1)
        self._time: int | None = None
        """The final time of the destination, in nanoseconds: that of the last directory that is copied to it."""

    def close(self) -> None:
        if self._directory[1] >= 0:
            os.close(self._directory[1])
            self._directory = ("", -1)

    def copy_all(self, selected: tuple[Selected, ...]) -> None:
        """Copy every source of the op; *selected* are its picks, in order."""
        directories = [(group, chosen.source) for chosen in selected for group in chosen.groups if group.is_directory]
        if directories:
            self._time = _time_of(*directories[-1])
        picks = iter(selected)
        for source in self.op.sources:
            if isinstance(source, Inline):
                self.copy_group(inline_group(source), None)
            else:
                chosen = next(picks)
                for group in chosen.groups:
                    self.copy_group(group, chosen.source, unpack=source.unpack)

    def copy_group(self, group: Group, source: SourceTree | None, *, unpack: bool = False) -> None:
        """Copy one group to its destination. Hard links within the group are kept."""
        self._links.clear()
        destination, node = self.writer.resolve(self.op.destination.lstrip("/"))
        is_directory = node is not None and node.kind == NodeKind.DIRECTORY
        if node is not None and not is_directory and (group.is_directory or self.op.destination.endswith("/")):
            raise BuildError(f"cannot copy to non-directory: /{destination}")
        if group.is_directory:
            self._copy_tree(group, source, destination)
            return
        if unpack and source is not None and self._unpack(group.items[0], source, destination):
            return
        if is_directory or self.op.destination.endswith("/"):
            destination = f"{destination}/{group.base}".lstrip("/")
        self.writer.add_directory(destination.rpartition("/")[0], self.made, self._time)
        self._item(group.items[0], source, destination)

    def _copy_tree(self, group: Group, source: SourceTree | None, destination: str) -> None:
        """Copy the entries of a directory; the destination gets its time, but neither its owner nor its mode.

        The items of *group* are released one by one: in a large tree they would not fit into memory beside the paths of
        the layer.
        """
        self.writer.add_directory(destination, self.made, self._time)
        if self.earlier is not None and source is not None:
            self._copy_stretches(self.earlier, group, source, destination)
            return
        top = f"{destination}/" if destination else ""
        items = group.items[:0:-1]
        group.items.clear()
        while items:
            item = items.pop()
            self._item(item, source, top + item.name)

    def _copy_stretches(self, earlier: "EarlierLayer", group: Group, source: SourceTree, destination: str) -> None:
        """Copy what is below *group*; stretches that did not change are taken from the archive of the earlier layer."""
        layer, top = self.writer.layer, f"{destination}/" if destination else ""
        waiting = earlier.parts(group, repr((destination, self.owner, self.op.chmod, layer.latest)))
        group.items.clear()
        while waiting:
            part, start = waiting.pop(), layer.position
            if earlier.has(part) and self.writer.is_free(top + item.name for item in part.items):
                directories = (item for item in part.items if stat.S_ISDIR(item.stat.st_mode))
                entries = (self._entry(item, source, top + item.name) for item in directories)
                times_ns = [item.stat.st_mtime_ns for item in part.items]
                self.writer.splice(filter(None, entries), earlier.take(part), times_ns)
            else:
                for item in part.items:
                    self._item(item, source, top + item.name)
            earlier.note(part, start, layer.position)

    def _unpack(self, item: Item, source: SourceTree, destination: str) -> bool:
        """Unpack *item* when it is an archive; return whether it was one."""
        if not stat.S_ISREG(item.stat.st_mode) or not item.stat.st_size:
            return False
        from pybuild.builder.execute.archives import opened_archive, unpack_archive

        handle = open_selected(*self._place(item, source), item)
        with os.fdopen(handle, "rb") as file, opened_archive(file) as archive:
            if archive is None:
                return False
            self.writer.add_directory(destination, mtime_ns=self._time)
            unpack_archive(archive, destination, self.writer, self.owner)
        return True

    def _item(self, item: Item, source: SourceTree | None, path: str) -> None:
        entry = self._entry(item, source, path)
        if entry is None:
            return
        if entry.kind is not EntryKind.FILE:
            try:
                self.writer.put(entry)
            except BuildError as error:
                error.hint = error.hint or self._symlink_hint(item, path)
                raise
            return
        status = item.stat  # kept, because items of a large tree compute it at each access
        first = self._links.get((status.st_dev, status.st_ino)) if status.st_nlink > 1 else None
        if first is not None:
            self.writer.put(entry._replace(kind=EntryKind.HARDLINK, size=0, linkname=first, xattrs=()))
            return
        if status.st_nlink > 1:
            self._links[status.st_dev, status.st_ino] = path
        data = item.data
        if data is None and source is not None and status.st_size <= _SMALL:
            data = read_small(source, *self._place(item, source), item)
        if data is not None or source is None:
            self.writer.put(entry._replace(xattrs=item.xattrs) if item.xattrs else entry, data)
            return
        handle = open_selected(*self._place(item, source), item)
        try:
            xattrs = source.xattrs(handle) if item.xattrs is None else item.xattrs
            self.writer.put(entry._replace(xattrs=xattrs) if xattrs else entry, handle)
            if state_of(os.fstat(handle)) != state_of(status):
                raise changed(item)
        finally:
            os.close(handle)

    def _symlink_hint(self, item: Item, path: str) -> str:
        """Return a hint about a directory that is a symlink in the image, as on systems with a merged /usr."""
        node = self.writer.lstat(path)
        if node is None or node.kind != NodeKind.LINK or not stat.S_ISDIR(item.stat.st_mode):
            return ""
        found = f'"/{path}" is a symlink to {node.link} in the image, and "/{item.path}" of the source is a directory'
        return f"{found}: leave it out with --exclude={item.name}, then COPY {item.path}/ /{path}/ follows the symlink"

    def _place(self, item: Item, source: SourceTree) -> tuple[int, str]:
        """Return the directory of a file, which stays open for the next files, and its name there."""
        directory, _, name = item.path.rpartition("/")
        if self._directory[1] < 0 or self._directory[0] != directory:
            self.close()
            self._directory = (directory, source.root.open(directory, os.O_RDONLY | os.O_DIRECTORY))
        return self._directory[1], name

    def _entry(self, item: Item, source: SourceTree | None, path: str) -> Entry | None:
        status = item.stat
        is_link = stat.S_ISLNK(status.st_mode)
        link = (source.root.readlink(item.path) or "") if is_link and source else ""
        owner = self.owner or (source.owner(status) if source else (0, 0))
        entry = entry_of(path, status, linkname=link, owner=owner)
        if entry is None:
            return None
        if self.mode is not None and not is_link:  # symlinks have no mode on Linux
            entry = entry._replace(mode=self.mode(entry.mode, entry.kind is EntryKind.DIRECTORY))
        return entry if source else entry.at(self.writer.now_ns)


def _time_of(group: Group, source: SourceTree | None) -> int:
    """Return the time, in nanoseconds, of the directory that *group* was selected from.

    A layer has no time for its root, so that of a stage changes when the stage is unpacked again. The latest time of
    the entries of the root is used instead.
    """
    top = group.items[0]
    if source is None or top.path or source.id:
        return top.stat.st_mtime_ns
    return max((item.stat.st_mtime_ns for item in group.items[1:] if "/" not in item.name), default=0)
