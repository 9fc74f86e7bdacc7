"""Making what an entry of a layer describes: always new, by one name in one open directory.

Nothing that exists is opened: what has the name is removed first. So no symlink and no earlier entry can redirect a
write. The rules of paths are in `unpack_tree`, those of deletions in `unpack_whiteouts`.
"""

import errno
import os
import stat
from collections.abc import Callable
from typing import TypeVar, assert_never

from pybuild.builder.oci.errors import LayerError
from pybuild.builder.oci.layers.unpack_directory import Directory, added, join
from pybuild.builder.oci.layers.unpack_holes import written_parts_of
from pybuild.builder.oci.layers.unpack_metadata import (
    clear_xattrs,
    copy_status,
    set_status,
    set_status_of_hard_link,
    set_status_of_name,
    time_pair,
)
from pybuild.builder.oci.layers.unpack_tree import UnpackTree
from pybuild.builder.oci.layers.unpack_whiteouts import apply_whiteout, finish, whiteout_target
from pybuild.builder.oci.limits import Limits
from pybuild.builder.oci.tar.entry import AS_BELOW, Entry, EntryKind
from pybuild.builder.oci.tar.entry_data import EntryData
from pybuild.runtime.errors import UnsafePathError
from pybuild.runtime.paths.filesystems import disk_space
from pybuild.runtime.paths.sparse import copy_data
from pybuild.runtime.snapshots.id_map import check_owner
from pybuild.runtime.stopping import check

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SPACE_CHECK = 64 << 20
_MAX_SKIPPED = 100
# Errors that names and numbers of an archive can cause; all others are failures of the host.
_FAULTS_OF_ARCHIVE = frozenset(
    {errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EINVAL, errno.EMLINK, errno.EFBIG}
    | {errno.E2BIG, errno.ERANGE}  # extended attributes
)

T = TypeVar("T")


class Unpacker:
    """Puts entries into a tree, in the order of the archive; `finish` must come last. Layers have *whiteouts*."""

    def __init__(self, tree: UnpackTree, limits: Limits, *, whiteouts: bool = True) -> None:
        self._tree, self._limits, self._whiteouts = tree, limits, whiteouts
        self._until_check = 0
        self.skipped: list[str] = []
        """Things that the host or the rules did not permit to make."""

    def add(self, entry: Entry, data: EntryData) -> None:
        """Make what *entry* describes.

        Raises:
            LayerError: the entry is malformed or hostile.
            UnmappedOwner, OSError: this process has no id for its owner, or the host failed; names the path.
        """
        check()
        try:
            self._add(entry, data)
        except (OSError, UnsafePathError) as error:
            if isinstance(error, OSError) and error.errno == errno.EINVAL:
                check_owner(entry.uid, entry.gid, f"/{entry.path}")  # chown(2) to an id without a mapping
            raise _blame(error, entry.path) from error

    def finish(self) -> None:
        """Carry out what depends on the whole layer: whiteouts, times and implied status of directories."""
        try:
            finish(self._tree)
        except (OSError, UnsafePathError) as error:
            raise _blame(error, "the directories of a layer") from error

    def _add(self, entry: Entry, data: EntryData) -> None:
        target = whiteout_target(entry.path) if self._whiteouts and ".wh." in entry.path else None
        path, _, name = entry.path.rpartition("/")
        if target is not None:
            directory = self._tree.find(path)
            if directory is not None:  # where nothing is, nothing is deleted
                apply_whiteout(self._tree, directory, target)
        elif entry.kind is EntryKind.DIRECTORY:
            self._directory(path, name, entry)
        elif not name:
            raise LayerError("the root of a layer must be a directory")
        else:
            self._non_directory(self._tree.directory(path), name, entry, data)

    def _directory(self, path: str, name: str, entry: Entry) -> None:
        tree = self._tree
        directory = tree.enter(tree.directory(path), name) if name else tree.root
        fd = tree.fd(directory)
        clear_xattrs(fd)
        self._skip(entry, set_status(fd, entry))
        directory.explicit = True
        directory.mtime_ns = self._time(directory, entry)
        directory.claim()

    def _time(self, directory: Directory, entry: Entry) -> int:
        """Return the time that the directory of *entry* gets: where it repeats one of below, exactly that one's."""
        before = directory.mtime_ns
        if entry.nanoseconds == AS_BELOW and self._tree.overlay:
            found = self._tree.lower_stat(directory)
            before = None if found is None else found.st_mtime_ns
        same = entry.nanoseconds == AS_BELOW and before is not None and before // 1_000_000_000 == entry.mtime
        return before if same and before is not None else entry.mtime_ns

    def _non_directory(self, directory: Directory, name: str, entry: Entry, data: EntryData) -> None:
        match entry.kind:
            case EntryKind.FILE:
                self._file(directory, name, entry, data)
            case EntryKind.SYMLINK:
                dir_fd = self._tree.fd(directory)
                self._make_replacing(directory, name, lambda: os.symlink(entry.linkname, name, dir_fd=dir_fd))
                set_status_of_name(dir_fd, name, entry)
            case EntryKind.HARDLINK:
                self._hard_link(directory, name, entry)
            case EntryKind.CHAR | EntryKind.BLOCK | EntryKind.FIFO:
                if not self._make_node(directory, name, entry):
                    directory.claim()
                    return
            case EntryKind.DIRECTORY:
                raise AssertionError(entry)
            case _:
                assert_never(entry.kind)
        if not self._tree.overlay:
            directory.made = added(directory.made, name)
        self._tree.cover(directory, name)
        directory.claim()

    def _make_replacing(self, directory: Directory, name: str, make: Callable[[], T]) -> T:
        """Call *make*, which creates *name*; if the name is taken, remove what has it and call *make* again."""
        try:
            return make()
        except FileExistsError:
            self._tree.remove(directory, name)
            return make()

    def _file(self, directory: Directory, name: str, entry: Entry, data: EntryData) -> None:
        dir_fd = self._tree.fd(directory)
        fd = self._make_replacing(directory, name, lambda: os.open(name, _CREATE, 0o600, dir_fd=dir_fd))
        try:
            if entry.size:
                self._write(fd, entry.size, data)
            self._skip(entry, set_status(fd, entry))
            os.utime(fd, ns=time_pair(entry))
        finally:
            os.close(fd)

    def _write(self, fd: int, size: int, data: EntryData) -> None:
        """Write the pieces at their offsets. What is between them stays a hole."""
        at = 0
        for offset, piece in written_parts_of(data):
            check()
            if offset != at:
                os.lseek(fd, offset, os.SEEK_SET)
            self._check_space(len(piece))
            at = offset + len(piece)
            while piece:
                piece = piece[os.write(fd, piece) :]  # noqa: PLW2901 - what is left of it
        if at < size:
            os.ftruncate(fd, size)

    def _check_space(self, count: int) -> None:
        self._until_check -= count
        if self._until_check > 0:
            return
        self._until_check = _SPACE_CHECK
        if disk_space(self._tree.root.fd)[1] < self._limits.reserve:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _hard_link(self, directory: Directory, name: str, entry: Entry) -> None:
        path, _, source = entry.linkname.rpartition("/")
        origin = self._tree.directory(path)
        if not source or (origin is directory and source == name):
            raise LayerError(f"{entry.path!r}: a hard link to itself or to the root")
        if not self._linkable(origin, source):
            raise LayerError(f"{entry.path!r}: a hard link to {entry.linkname!r}, which is no file")

        def link() -> None:
            fds = {"src_dir_fd": self._tree.fd(origin), "dst_dir_fd": self._tree.fd(directory)}
            os.link(source, name, **fds, follow_symlinks=False)

        try:
            self._make_replacing(directory, name, link)
        except FileNotFoundError:  # it stood below what gave way to the link
            raise LayerError(f"{entry.path!r}: a hard link to something inside itself") from None
        self._skip(entry, set_status_of_hard_link(self._tree.fd(directory), name, entry))

    def _linkable(self, origin: Directory, source: str) -> bool:
        """Return whether a hard link may lead there; what only the parent snapshot has is fetched."""
        try:
            found = os.stat(source, dir_fd=self._tree.fd(origin), follow_symlinks=False)
        except FileNotFoundError:
            return self._copy_up(origin, source)
        return not stat.S_ISDIR(found.st_mode)

    def _copy_up(self, origin: Directory, source: str) -> bool:
        """Copy a file or link of the parent snapshot into the layer, as overlayfs does before it links it."""
        tree = self._tree
        if tree.lower is None or source in origin.whiteouts or not origin.shows_lower:
            return False
        found, path, dir_fd = tree.lower_stat(origin, source), join(origin, source), tree.fd(origin)
        if found is None or not (stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode)):
            return False
        origin.copied = added(origin.copied, source)
        if stat.S_ISLNK(found.st_mode):
            os.symlink(tree.lower.readlink(path) or "", source, dir_fd=dir_fd)
            os.chown(source, found.st_uid, found.st_gid, dir_fd=dir_fd, follow_symlinks=False)
            os.utime(source, ns=(found.st_mtime_ns,) * 2, dir_fd=dir_fd, follow_symlinks=False)
            return True
        old = tree.lower.open_file(path)
        new = os.open(source, _CREATE, 0o600, dir_fd=dir_fd)
        try:
            copy_data(old, new, os.fstat(old))
            copy_status(new, found, tree.lower.xattrs(path).items())
        finally:
            os.close(old)
            os.close(new)
        return True

    def _make_node(self, directory: Directory, name: str, entry: Entry) -> bool:
        """Make a device or a FIFO; False when that is not permitted."""
        device = os.makedev(entry.dev_major, entry.dev_minor)
        if entry.kind is EntryKind.CHAR and device == 0:
            self._skip(entry, ("a character device 0:0",))  # to overlayfs it would be a deletion
            return False
        kinds = {EntryKind.CHAR: stat.S_IFCHR, EntryKind.BLOCK: stat.S_IFBLK, EntryKind.FIFO: stat.S_IFIFO}
        mode, dir_fd = kinds[entry.kind] | 0o600, self._tree.fd(directory)
        try:
            self._make_replacing(directory, name, lambda: os.mknod(name, mode, device, dir_fd=dir_fd))
        except PermissionError:  # a user namespace; the device could not be used there either
            self._skip(entry, ("a device node",))
            return False
        set_status_of_name(dir_fd, name, entry)
        return True

    def _skip(self, entry: Entry, what: tuple[str, ...]) -> None:
        for thing in what:
            if len(self.skipped) < _MAX_SKIPPED:
                self.skipped.append(f"{entry.path}: {thing}")


def _blame(error: Exception, path: str) -> Exception:
    if isinstance(error, OSError) and error.errno not in _FAULTS_OF_ARCHIVE:
        return OSError(error.errno, f"unpacking failed: {error.strerror}", path)
    return LayerError(f"cannot unpack {path!r}: {getattr(error, 'strerror', None) or error}")
