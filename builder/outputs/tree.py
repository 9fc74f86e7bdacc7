"""Walking the root file system of a snapshot, and the directory that it is copied to, by descriptors only."""

import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from pybuild.builder.errors import RequestError
from pybuild.runtime.errors import UnsafePathError
from pybuild.runtime.paths.safepath import DirectoryEntry, scan_directory
from pybuild.runtime.paths.walk import open_beneath

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class OutputTree(NamedTuple):
    """A root file system to write: its path in the output ("" is the top), its platform, a descriptor."""

    directory: str
    platform: str
    fd: int


class TreeTimes(NamedTuple):
    """The times of the files of a tree that is written: *epoch*, in seconds, or their own when it is None.

    In an archive, their own are cut to whole seconds, as in layers and by docker export, or with *nearest_second*
    rounded, as by BuildKit's exporter.
    """

    epoch: int | None = None
    nearest_second: bool = False


OWN_TIMES = TreeTimes()


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


def make_directory(into: int, name: str) -> None:
    """Make the directory *name* in the directory *into*, in place of a file or a symlink of that name."""
    try:
        os.mkdir(name, 0o700, dir_fd=into)
    except FileExistsError:
        found = os.stat(name, dir_fd=into, follow_symlinks=False)
        if not stat.S_ISDIR(found.st_mode):
            os.unlink(name, dir_fd=into)
            os.mkdir(name, 0o700, dir_fd=into)
        elif found.st_mode & 0o700 != 0o700 and os.geteuid() != 0:
            # An earlier export made this directory read-only; its mode is restored at the end.
            _unlock(into, name)


def _unlock(into: int, name: str) -> None:
    handle = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=into)
    try:
        os.chmod(f"/proc/self/fd/{handle}", 0o700)
    finally:
        os.close(handle)


def refuse_collisions(tree: OutputTree, target: int) -> None:
    """Raise `collision` when the directory *target* has a directory where *tree* has a file or a symlink."""
    for directory in directories(tree.fd):
        try:
            into = open_directory(target, f"{tree.directory}/{directory.path}".strip("/"))
        except (OSError, UnsafePathError):
            continue  # nothing is there yet, or a file or a symlink, which is replaced
        try:
            for entry in directory.entries:
                if not is_directory(entry) and _has_directory(into, entry.name):
                    raise collision(directory.inner(entry.name))
        finally:
            os.close(into)


def _has_directory(directory: int, name: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


def collision(path: str) -> RequestError:
    """Return the error for a file of the image at the *path* of a directory in the destination."""
    return RequestError(f"{path}: is a directory in the destination, but not in the image")
