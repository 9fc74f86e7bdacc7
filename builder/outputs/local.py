"""The root file system of an image as a directory of the host.

The image is not trusted: its symlinks may point anywhere, as may symlinks in the destination. All paths are opened
below descriptors, no symlink is ever followed, and each file appears complete, by a rename. Files belong to the caller.
Set-user-ID bits, device nodes, pipes and sockets are left out: outside of a sandbox they are only dangerous.
"""

import os
import secrets
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from pybuild.builder.errors import RequestError
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.outputs.files import check_directory, made_parents
from pybuild.builder.outputs.free_space import Space
from pybuild.builder.outputs.options import OutputOptions
from pybuild.builder.outputs.platforms import open_trees
from pybuild.builder.outputs.tree import (
    OpenDirectory,
    OutputTree,
    TreeTimes,
    collision,
    directories,
    make_directory,
    open_directory,
    open_file,
    refuse_collisions,
)
from pybuild.builder.request import Output
from pybuild.builder.store.store import Store
from pybuild.runtime.paths.filelock import remove_tree
from pybuild.runtime.paths.safepath import DirectoryEntry, Root
from pybuild.runtime.paths.sparse import copy_data
from pybuild.runtime.values import frozen

_FILE_MODE, _DIRECTORY_MODE = 0o777, 0o1777
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@frozen
class LocalOutput(Output):
    """``type=local``: the directory *dest*, with *delete* emptied before.

    *split*: a directory in it for each platform; None is that for an index only.
    """

    writes_image: ClassVar[bool] = False
    rootfs: ClassVar[str] = "local"

    dest: Path
    delete: bool = False
    split: bool | None = None

    @property
    def emptied(self) -> Path | None:
        """The directory that is emptied before it is written to."""
        return self.dest if self.delete else None

    @classmethod
    def parse(cls, options: OutputOptions) -> "LocalOutput":
        """Return the output that *options* ask for. Raises RequestError."""
        dest, mode = options.dest(), options.text("mode", "copy")
        if dest is None:
            raise RequestError("--output type=local needs dest=DIR")
        if mode not in {"copy", "delete"}:
            raise RequestError(f"--output type=local has no mode={mode}", hint="type=local has copy and delete")
        options.refuse_layout()
        return cls(dest=dest, delete=mode == "delete", split=options.optional_flag("platform-split"))

    def write(self, descriptor: Descriptor, store: Store, times: TreeTimes) -> None:
        """Write the root file systems of an image."""
        check_directory(self.dest)
        with open_trees(descriptor, store, split=self.split) as trees:
            (replace_content if self.delete else write_directory)(trees, self.dest, times.epoch)


def write_directory(trees: Sequence[OutputTree], dest: Path, epoch: int | None = None) -> None:
    """Copy *trees* to *dest*. All times are *epoch*, in seconds, when it is given.

    A new directory appears when it is complete. One that exists keeps its other files; files and symlinks of the same
    name are replaced. Raises RequestError when there is a directory where the image has a file.
    """
    if dest.exists():
        with Root.open_host(dest) as target:
            for tree in trees:
                refuse_collisions(tree, target.fd)
            _copy_all(trees, target.fd, epoch)
        return
    with made_parents(dest), Root.open_host(dest.parent) as parent:
        new = f".pybuild-{secrets.token_hex(8)}"
        try:
            os.mkdir(new, 0o755, dir_fd=parent.fd)
        except OSError as error:
            raise OSError(error.errno, error.strerror, os.fspath(dest)) from error
        try:
            with Root.open_host(dest.parent / new) as target:
                _copy_all(trees, target.fd, epoch)
            os.rename(new, dest.name, src_dir_fd=parent.fd, dst_dir_fd=parent.fd)
        except BaseException:
            remove_tree(parent.fd, new)
            raise


def replace_content(trees: Sequence[OutputTree], dest: Path, epoch: int | None = None) -> None:
    """Make *dest* hold *trees* and nothing else: ``mode=delete``. A directory that does not exist is created.

    The new files are complete before old ones are removed. The directory itself stays, because it may be a mount point.
    """
    if not dest.exists():
        write_directory(trees, dest, epoch)
        return
    with Root.open_host(dest) as target:
        new = f".pybuild-{secrets.token_hex(8)}"
        os.mkdir(new, 0o700, dir_fd=target.fd)
        try:
            with Root(open_directory(target.fd, new)) as inside:
                _copy_all(trees, inside.fd, epoch)
                for name in filter(new.__ne__, _names(target.fd)):
                    remove_tree(target.fd, name)
                for name in _names(inside.fd):
                    os.rename(name, name, src_dir_fd=inside.fd, dst_dir_fd=target.fd)
        finally:
            remove_tree(target.fd, new)


def _copy_all(trees: Sequence[OutputTree], target: int, epoch: int | None) -> None:
    for tree in trees:
        if not tree.directory:
            _Copy(tree.fd, target, epoch).run()
            continue
        make_directory(target, tree.directory)
        below = open_directory(target, tree.directory)
        try:
            _Copy(tree.fd, below, epoch).run()
            os.fchmod(below, 0o755)
            if epoch is not None:
                os.utime(below, (epoch, epoch))
        finally:
            os.close(below)


def _names(directory: int) -> list[str]:
    with Root(open_directory(directory, "")) as readable:
        return os.listdir(readable.fd)


class _Copy:
    """One copy in progress; nothing is written outside of *target*."""

    def __init__(self, source: int, target: int, epoch: int | None) -> None:
        self._source = source
        self._target = target
        self._time = None if epoch is None else epoch * 1_000_000_000
        self._links: dict[tuple[int, int], str] = {}
        self._modes: list[tuple[str, os.stat_result]] = []
        self._space = Space(target)

    def run(self) -> None:
        for directory in directories(self._source):
            into = open_directory(self._target, directory.path)
            try:
                for entry in directory.entries:
                    self._copy(directory, entry, into)
            finally:
                os.close(into)
        # Modes are set last and from the inside out: a read-only directory could not be filled.
        for path, status in reversed(self._modes):
            fd = open_directory(self._target, path)
            try:
                os.fchmod(fd, status.st_mode & _DIRECTORY_MODE)
                time = self._time_of(status)
                os.utime(fd, ns=(time, time))
            finally:
                os.close(fd)

    def _time_of(self, status: os.stat_result) -> int:
        return status.st_mtime_ns if self._time is None else self._time

    def _copy(self, directory: OpenDirectory, entry: DirectoryEntry, into: int) -> None:
        path = directory.inner(entry.name)
        match stat.S_IFMT(entry.stat.st_mode):
            case stat.S_IFDIR:
                make_directory(into, entry.name)
                self._modes.append((path, entry.stat))
            case stat.S_IFREG | stat.S_IFLNK:
                self._place(directory, entry, into, path)
            case _:
                pass

    def _place(self, directory: OpenDirectory, entry: DirectoryEntry, into: int, path: str) -> None:
        """Create the file or symlink under a temporary name, then rename it into place."""
        new = f".pybuild-{secrets.token_hex(8)}"
        try:
            if not self._link(entry, into, path, new):
                self._space.take(_room_for(entry))
                _make(directory.fd, entry, into, new, self._time_of(entry.stat))
            os.rename(new, entry.name, src_dir_fd=into, dst_dir_fd=into)
        except IsADirectoryError:
            raise collision(path) from None
        finally:
            with suppress(FileNotFoundError):
                os.unlink(new, dir_fd=into)

    def _link(self, entry: DirectoryEntry, into: int, path: str, new: str) -> bool:
        if entry.stat.st_nlink < 2:
            return False
        first = self._links.setdefault((entry.stat.st_dev, entry.stat.st_ino), path)
        if first == path:
            return False
        above, _, name = first.rpartition("/")
        beside = open_directory(self._target, above)
        try:
            os.link(name, new, src_dir_fd=beside, dst_dir_fd=into, follow_symlinks=False)
        finally:
            os.close(beside)
        return True


def _room_for(entry: DirectoryEntry) -> int:
    """Return the most that a copy takes on the disk; holes take nothing."""
    return min(entry.stat.st_size, entry.stat.st_blocks * 512)


def _make(source: int, entry: DirectoryEntry, into: int, new: str, time: int) -> None:
    times = (time, time)
    if stat.S_ISLNK(entry.stat.st_mode):
        os.symlink(os.readlink(entry.name, dir_fd=source), new, dir_fd=into)
        os.utime(new, ns=times, dir_fd=into, follow_symlinks=False)
        return
    data = open_file(source, entry.name)
    try:
        file = os.open(new, _NEW, 0o600, dir_fd=into)
        try:
            copy_data(data, file, os.fstat(data))
            os.fchmod(file, entry.stat.st_mode & _FILE_MODE)
            os.utime(file, ns=times)
        finally:
            os.close(file)
    finally:
        os.close(data)
