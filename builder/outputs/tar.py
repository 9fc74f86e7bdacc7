"""The root file system of an image, or those of several platforms, as one tar archive."""

import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from pybuild.builder.oci.layers.host_entry import entry_of, image_xattrs
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.oci.tar.entry import Entry, EntryKind
from pybuild.builder.oci.tar.writer import TarWriter
from pybuild.builder.outputs.files import destination, sink
from pybuild.builder.outputs.options import OutputOptions
from pybuild.builder.outputs.platforms import open_trees
from pybuild.builder.outputs.tree import (
    OWN_TIMES,
    OpenDirectory,
    OutputTree,
    TreeTimes,
    directories,
    is_directory,
    open_file,
)
from pybuild.builder.request import Output
from pybuild.builder.store.store import Store
from pybuild.runtime.paths.safepath import DirectoryEntry as Found
from pybuild.runtime.values import frozen

_HALF_SECOND = 500_000_000


@frozen
class TarOutput(Output):
    """``type=tar``: the archive *dest*, None being standard output.

    *split*: a directory in it for each platform; None is that for an index only.
    """

    writes_image: ClassVar[bool] = False
    rootfs: ClassVar[str] = "tar"

    dest: Path | None = None
    split: bool | None = None

    @property
    def file(self) -> Path | None:
        """The archive."""
        return self.dest

    @property
    def streams(self) -> bool:
        """Whether it goes to standard output."""
        return self.dest is None

    @classmethod
    def parse(cls, options: OutputOptions) -> "TarOutput":
        """Return the output that *options* ask for. Raises RequestError."""
        options.refuse_layout()
        return cls(dest=options.dest(), split=options.optional_flag("platform-split"))

    def write(self, descriptor: Descriptor, store: Store, times: TreeTimes) -> None:
        """Write the root file systems of an image, as `write_trees` does."""
        with open_trees(descriptor, store, split=self.split) as trees, destination(self.dest) as file:
            write_trees(trees, sink(file), times)


def write_trees(
    trees: Sequence[OutputTree], sink: Callable[[bytes | memoryview], None], times: TreeTimes = OWN_TIMES
) -> None:
    """Write everything below the directories of *trees*, except sockets, which mean nothing in an archive.

    A directory that several trees have is listed once. The entries of a directory follow it directly: tar(1) sets the
    time of a directory as soon as an entry outside of it follows.
    """
    archive = _Archive(sink, times, several=len(trees) > 1)
    for tree in trees:
        archive.add(tree)
    archive.close()


def write_directory(name: str, fd: int, sink: Callable[[bytes | memoryview], None]) -> None:
    """Write the directory *fd* as *name*, with its own status, and all that is in it; "" for what is in it alone."""
    archive = _Archive(sink, OWN_TIMES, several=False, dotted=name == ".")
    if name:
        archive.add_directory(name, fd)
    archive.add(OutputTree("", "", fd), below=name)
    archive.close()


class _Archive:
    def __init__(
        self, sink: Callable[[bytes | memoryview], None], times: TreeTimes, *, several: bool, dotted: bool = False
    ) -> None:
        self._writer = TarWriter(sink, dotted=dotted)
        self.close = self._writer.close
        self._epoch, self._half = times.epoch, _HALF_SECOND if times.nearest_second else 0
        self._directories: set[str] | None = set() if several else None
        self._links: dict[tuple[int, int], str] = {}

    def add(self, tree: OutputTree, below: str = "") -> None:
        self._links.clear()
        if tree.directory:
            self._put(Entry(path=tree.directory, kind=EntryKind.DIRECTORY, mode=0o755))
        above = tree.directory or below
        for directory in directories(tree.fd):
            self._add_directory(above, directory)
            for found in directory.entries:
                if not is_directory(found):
                    self._add(above, directory, found)

    def add_directory(self, path: str, fd: int) -> None:
        entry = entry_of(path, os.fstat(fd), xattrs=image_xattrs(fd))
        if entry is not None:
            self._put(entry)

    def _add_directory(self, above: str, directory: OpenDirectory) -> None:
        path = f"{above}/{directory.path}" if above else directory.path
        if directory.path:
            self.add_directory(path, directory.fd)

    def _add(self, above: str, directory: OpenDirectory, found: Found) -> None:
        path = f"{above}/{directory.inner(found.name)}" if above else directory.inner(found.name)
        is_link = stat.S_ISLNK(found.stat.st_mode)
        entry = entry_of(path, found.stat, linkname=os.readlink(found.name, dir_fd=directory.fd) if is_link else "")
        if entry is None:
            return
        key = (found.stat.st_dev, found.stat.st_ino)
        first = self._links.setdefault(key, path) if found.stat.st_nlink > 1 else path
        if first != path:
            self._put(entry._replace(kind=EntryKind.HARDLINK, size=0, linkname=first))
        elif entry.kind is EntryKind.FILE:
            fd = open_file(directory.fd, found.name)
            try:
                self._put(entry._replace(size=os.fstat(fd).st_size, xattrs=image_xattrs(fd)), fd)
            finally:
                os.close(fd)
        else:
            self._put(entry)

    def _put(self, entry: Entry, data: int | None = None) -> None:
        if entry.kind is EntryKind.DIRECTORY and self._directories is not None:
            if entry.path in self._directories:
                return
            self._directories.add(entry.path)
        self._writer.add(
            entry.at(entry.mtime_ns + self._half) if self._epoch is None else entry._replace(mtime=self._epoch), data
        )
