"""Turning the changes of a tree into the entries of a layer: by descriptor, in the order given, the same every time."""

import os
import stat
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from pybuild.builder.oci.errors import LayerError
from pybuild.builder.oci.layers.host_entry import entry_of, image_xattrs
from pybuild.builder.oci.layers.layer import LayerWriter, check_name
from pybuild.builder.oci.tar.entry import Entry, EntryKind
from pybuild.runtime.paths.walk import open_beneath
from pybuild.runtime.snapshots.change import Change, ChangeKind

# Should a FIFO or a terminal have taken the place of a file, it must neither block the packer nor become its terminal.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_OPEN = 100


def pack_changes(
    writer: LayerWriter,
    root_fd: int,
    changes: Iterable[Change],
    *,
    clamp_tree: bool = False,
) -> None:
    """Write *changes*, which must come parents first, as entries; content and status come from the tree at *root_fd*.

    The directories above a change are written as well, also when they did not change: a tool that unpacks a layer on
    its own, like Docker's overlay2 driver, would give them a default status. Of several hard links the first in order
    is written as the file. Sockets and character devices 0:0 are left out. With *clamp_tree* times in the tree are
    changed as well, so that none is later than ``latest`` of *writer* and the tree equals the layer.

    Raises:
        LayerError: a file changes while it is read, or has a name that no layer can hold.
    """
    with _Packer(writer, root_fd, clamp_tree=clamp_tree) as packer:
        for change in changes:
            packer.pack(change)


class _Level:
    """The current directory of the packer, or one of those above it."""

    __slots__ = ("fd", "path", "written")

    def __init__(self, path: str, fd: int, *, written: bool = False) -> None:
        self.path, self.fd, self.written = path, fd, written


class _Packer:
    def __init__(self, writer: LayerWriter, root_fd: int, *, clamp_tree: bool) -> None:
        self._writer, self._root_fd = writer, root_fd
        self._clamp_tree = clamp_tree and writer.latest is not None
        self._limits_ns = ((writer.latest or 0) * 1_000_000_000,) * 2
        self._levels: list[_Level] = []
        self._first_links: dict[tuple[int, int], str] = {}

    def __enter__(self) -> Self:
        self._levels.append(_Level("", os.dup(self._root_fd), written=True))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._levels:
            self._leave()

    def pack(self, change: Change) -> None:
        path = change.path
        directory, _, name = path.rpartition("/")
        match change.kind:
            case ChangeKind.DELETE:
                self._enter(directory)
                self._write_directories()
                self._writer.whiteout(path)
            case ChangeKind.OPAQUE:
                self._enter(path)
                self._write_directories()
                self._writer.opaque(path)
            case ChangeKind.ADD | ChangeKind.MODIFY:
                if ".wh." in path:
                    check_name(path)
                self._present(self._enter(directory), name, path)

    def _present(self, dir_fd: int, name: str, path: str) -> None:
        found = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
        if stat.S_ISDIR(found.st_mode):
            self._enter(path)
            self._write_directories()
            return
        self._write_directories()
        first = path
        if found.st_nlink > 1:
            first = self._first_links.setdefault((found.st_dev, found.st_ino), path)
        if first != path:
            entry = entry_of(path, found, linkname=first)
            self._add(entry._replace(kind=EntryKind.HARDLINK, size=0) if entry else None)
        elif stat.S_ISREG(found.st_mode):
            self._file(dir_fd, name, path)
        else:
            link = os.readlink(name, dir_fd=dir_fd) if stat.S_ISLNK(found.st_mode) else ""
            self._add(entry_of(path, found, linkname=link))
        if self._is_late(found):
            os.utime(name, ns=self._limits_ns, dir_fd=dir_fd, follow_symlinks=False)

    def _file(self, dir_fd: int, name: str, path: str) -> None:
        fd = os.open(name, _FILE, dir_fd=dir_fd)
        try:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                raise LayerError(f"{path!r} is replaced while it is packed")
            self._add(entry_of(path, found, xattrs=image_xattrs(fd)), fd)
        finally:
            os.close(fd)

    def _add(self, entry: Entry | None, data: int | None = None) -> None:
        if entry is not None:
            self._writer.add(entry, data)

    def _is_late(self, found: os.stat_result) -> bool:
        """Return whether a file with the status *found* gets the time of its entry, because its own is too late."""
        return self._clamp_tree and found.st_mtime_ns > self._limits_ns[1]

    def _write_directories(self) -> None:
        """Write the current directory and those above it, as far as that has not been done."""
        count = len(self._levels)
        while not self._levels[count - 1].written:
            count -= 1
        for level in self._levels[count:]:
            fd = self._fd(level)
            found = os.fstat(fd)
            self._add(entry_of(level.path, found, xattrs=image_xattrs(fd)))
            if self._is_late(found):
                os.utime(fd, ns=self._limits_ns)
            level.written = True

    def _enter(self, path: str) -> int:
        """Change to the directory *path*, and return its descriptor, which is valid until the next change."""
        while not _is_inside(path, self._levels[-1].path):
            self._leave()
        top = self._levels[-1]
        for name in path[len(top.path) :].split("/"):
            if name:
                fd = os.open(name, _DIRECTORY, dir_fd=self._fd(top))
                top = _Level(f"{top.path}/{name}" if top.path else name, fd)
                self._levels.append(top)
                self._close_far_one()
        return self._fd(top)

    def _leave(self) -> None:
        level = self._levels.pop()
        if level.fd >= 0:
            os.close(level.fd)

    def _close_far_one(self) -> None:
        """Keep the number of descriptors in bounds: a tree may be deeper than a process may have files open."""
        if len(self._levels) > _MAX_OPEN:
            far = self._levels[-_MAX_OPEN]
            if far.fd >= 0:
                os.close(far.fd)
                far.fd = -1

    def _fd(self, level: _Level) -> int:
        if level.fd < 0:
            level.fd = open_beneath(self._root_fd, level.path, _DIRECTORY)
        return level.fd


def _is_inside(path: str, directory: str) -> bool:
    return not directory or path == directory or path.startswith(directory + "/")
