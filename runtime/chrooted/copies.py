"""Copies files and directories with their whole status; the blocks of a file are shared where the file system can."""

import fcntl
import os
from collections.abc import Iterable, Iterator
from stat import S_ISDIR, S_ISREG, S_ISSOCK

from pybuild.runtime.paths.safepath import DirectoryEntry, scan_directory
from pybuild.runtime.paths.sparse import copy_data
from pybuild.runtime.paths.walk import open_beneath
from pybuild.runtime.snapshots.tree_copies import copy_entry, copy_open_tree, copy_status

_FICLONE = 0x40049409  # linux/fs.h


def copy_into(source: int, parent: int, name: str) -> None:
    """Copy the file or directory of the O_PATH descriptor *source* to *name* in the directory *parent*.

    Closes *source*. Raises OSError if it is neither a file nor a directory.
    """
    try:
        mode = os.fstat(source).st_mode
        if S_ISDIR(mode):
            os.mkdir(name, 0o700, dir_fd=parent)
            _copy_directory(source, parent, name)
        elif S_ISREG(mode):
            _copy_file(source, parent, name)
        else:
            raise OSError(22, "neither a file nor a directory")
    finally:
        os.close(source)


def _copy_directory(source: int, parent: int, name: str) -> None:
    target = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        copy_open_tree(source, target)
    finally:
        os.close(target)


def _copy_file(source: int, parent: int, name: str) -> None:
    # Opens the file of the descriptor itself, whatever is at its path by now.
    old = os.open(f"/proc/self/fd/{source}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        new = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=parent)
        try:
            status = os.fstat(old)
            try:
                fcntl.ioctl(new, _FICLONE, old)
            except OSError:  # another file system, or one without shared blocks: a real error shows in the copy, too
                copy_data(old, new, status)
            copy_status(old, new, status)
        finally:
            os.close(new)
    finally:
        os.close(old)


_Link = tuple[str, DirectoryEntry]
"""A name of a file: the path of its directory, and the entry there."""


def separate_links(top: int, scratch: int) -> None:
    """Replace each file below the open directory *top* that has hard links elsewhere by a copy without them.

    *scratch* is an open, empty directory of the same file system. Nobody may change either directory meanwhile.
    """
    for names in _linked(top):
        if len(names) < names[0][1].stat.st_nlink:
            _separate(top, names, scratch)


def remove_links(top: int, inode: tuple[int, int]) -> None:
    """Remove all names below the open directory *top* of a file, by its device and inode."""
    for path, entry in _names(top):
        if (entry.stat.st_dev, entry.stat.st_ino) == inode:
            directory = open_beneath(top, path)
            try:
                os.unlink(entry.name, dir_fd=directory)
            finally:
                os.close(directory)


def _linked(top: int) -> Iterable[list[_Link]]:
    """Return the names below *top* of each file that has more than one name."""
    found: dict[tuple[int, int], list[_Link]] = {}
    for path, entry in _names(top):
        if entry.stat.st_nlink > 1:
            found.setdefault((entry.stat.st_dev, entry.stat.st_ino), []).append((path, entry))
    return found.values()


def _names(top: int) -> Iterator[_Link]:
    """Yield the names below *top* that are no directories. Each directory is read before its first name is yielded."""
    pending = [""]
    while pending:
        path = pending.pop()
        directory = open_beneath(top, path)
        try:
            entries = list(scan_directory(directory))
        finally:
            os.close(directory)
        for entry in entries:
            if S_ISDIR(entry.stat.st_mode):
                pending.append(f"{path}/{entry.name}")
            else:
                yield path, entry


def _separate(top: int, names: list[_Link], scratch: int) -> None:
    """Give all *names* of one file to a copy of it. A socket, to which nobody listens any more, is removed."""
    is_copied = False
    for path, entry in names:
        directory = open_beneath(top, path)
        try:
            before = os.fstat(directory)
            if S_ISSOCK(entry.stat.st_mode):
                os.unlink(entry.name, dir_fd=directory)
            else:
                if not is_copied:
                    copy_entry(entry, directory, scratch)
                    os.rename(entry.name, "copy", src_dir_fd=scratch, dst_dir_fd=scratch)
                    is_copied = True
                os.link("copy", "link", src_dir_fd=scratch, dst_dir_fd=scratch, follow_symlinks=False)
                os.rename("link", entry.name, src_dir_fd=scratch, dst_dir_fd=directory)
            os.utime(directory, ns=(before.st_atime_ns, before.st_mtime_ns))
        finally:
            os.close(directory)
    if is_copied:
        os.unlink("copy", dir_fd=scratch)
