"""Walking the root file system of a snapshot, directory by directory, by descriptors only."""

import os
from collections.abc import Iterator
from typing import NamedTuple

from pybuild.runtime.paths.safepath import DirectoryEntry, scan_directory
from pybuild.runtime.paths.walk import open_beneath

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class OutputTree(NamedTuple):
    """A root file system to write: its path in the output ("" is the top), its platform, a descriptor."""

    directory: str
    platform: str
    fd: int


class OpenDirectory(NamedTuple):
    """A directory of a tree: its path ("" is the root), a descriptor open during its turn, and what it holds."""

    path: str
    fd: int
    entries: list[DirectoryEntry]

    def inner(self, name: str) -> str:
        """Return the path of the entry *name*."""
        return f"{self.path}/{name}" if self.path else name


def directories(root_fd: int) -> Iterator[OpenDirectory]:
    """Yield every directory of the tree behind *root_fd*: parents before children, names in byte order.

    One descriptor is open at a time, however deep the tree is.
    """
    waiting = [""]
    while waiting:
        path = waiting.pop()
        fd = open_directory(root_fd, path)
        try:
            entries = scan_directory(fd)
            directory = OpenDirectory(path, fd, entries)
            yield directory
        finally:
            os.close(fd)
        inner = [directory.inner(entry.name) for entry in entries if is_directory(entry)]
        waiting.extend(reversed(inner))


def open_directory(root_fd: int, path: str) -> int:
    """Open the directory *path* below *root_fd*; no component may be a symlink."""
    return open_beneath(root_fd, path) if path else os.open(".", _DIRECTORY, dir_fd=root_fd)


def open_file(directory_fd: int, name: str) -> int:
    """Open a regular file for reading. A symlink or pipe that replaced it meanwhile is not followed or waited for."""
    return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory_fd)


def is_directory(entry: DirectoryEntry) -> bool:
    """Return whether *entry* is a directory, and not a symlink to one."""
    return (entry.stat.st_mode & 0o170000) == 0o040000
