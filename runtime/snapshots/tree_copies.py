"""Copies of whole trees, with everything that a layer holds, and with hard links and holes.

Where files can share blocks (FICLONE, on btrfs and xfs) no data is copied; elsewhere the kernel copies it.
"""

import errno
import fcntl
import os
import stat
from pathlib import Path

from pybuild.runtime.paths.safepath import DirectoryEntry, read_xattrs, scan_directory
from pybuild.runtime.paths.sparse import copy_data
from pybuild.runtime.paths.walk import open_beneath
from pybuild.runtime.stopping import check

_FICLONE = 0x40049409  # linux/fs.h
_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: what has taken the place of a file may be a FIFO, whose open(2) waits.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def copy_tree(source: Path, target: Path) -> None:
    """Copy the content of the directory *source*, and its own status, to the empty directory *target*.

    Keeps owners, modes, times, extended attributes, hard links, holes, devices and FIFOs; leaves sockets out. Both
    directories must be out of reach of other users, and must not change meanwhile.
    """
    old = os.open(source, _DIRECTORY)
    try:
        new = os.open(target, _DIRECTORY)
        try:
            copy_open_tree(old, new)
        finally:
            os.close(new)
    finally:
        os.close(old)


def copy_open_tree(source: int, target: int) -> None:
    """Do what `copy_tree` does with two open directories."""
    _Copy(source, target).run()


def copy_entry(entry: DirectoryEntry, source: int, target: int) -> None:
    """Copy *entry*, neither a directory nor a socket, from the open directory *source* to the open *target*."""
    if stat.S_ISREG(entry.stat.st_mode):
        _Copy(source, target).copy_file(entry, source, target)
    else:
        _copy_special(entry, source, target)


def copy_status(source: int, target: int, status: os.stat_result) -> None:
    """Give the open file or directory *target* the owner, attributes, mode and times of *source*."""
    os.fchown(target, status.st_uid, status.st_gid)
    # A change of owner drops file capabilities and the set-id bits, so those come after it.
    for name, value in read_xattrs(source).items():
        os.setxattr(target, name, value)
    os.fchmod(target, stat.S_IMODE(status.st_mode))
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


class _Copy:
    """One copy of a tree. Directories are opened one pair at a time, however deep they lie."""

    def __init__(self, source: int, target: int) -> None:
        self._source = source
        self._target = target
        self._linked: dict[tuple[int, int], tuple[str, str]] = {}
        self._clone = True

    def run(self) -> None:
        pending = [""]
        while pending:
            path = pending.pop()
            source = open_beneath(self._source, path)
            try:
                target = open_beneath(self._target, path)
                try:
                    pending += self._copy_directory(path, source, target)
                finally:
                    os.close(target)
            finally:
                os.close(source)

    def _copy_directory(self, path: str, source: int, target: int) -> list[str]:
        """Copy the entries of one directory and its own status; return the directories in it, made but empty."""
        inner = []
        for entry in scan_directory(source):
            check()
            mode = entry.stat.st_mode
            if stat.S_ISDIR(mode):
                os.mkdir(entry.name, 0o700, dir_fd=target)
                inner.append(f"{path}/{entry.name}")
            elif entry.stat.st_nlink > 1 and self._copy_link(path, entry, target):
                continue
            elif stat.S_ISREG(mode):
                self.copy_file(entry, source, target)
            elif not stat.S_ISSOCK(mode):
                _copy_special(entry, source, target)
        # Last: each entry that is made changes the times of the directory. What is made below its entries does not.
        copy_status(source, target, os.fstat(source))
        return inner

    def _copy_link(self, path: str, entry: DirectoryEntry, target: int) -> bool:
        """Link *entry* to the copy of the same file; return False if this is its first link, which must be copied."""
        first = self._linked.setdefault((entry.stat.st_dev, entry.stat.st_ino), (path, entry.name))
        if first == (path, entry.name):
            return False
        directory = open_beneath(self._target, first[0])
        try:
            os.link(first[1], entry.name, src_dir_fd=directory, dst_dir_fd=target, follow_symlinks=False)
        finally:
            os.close(directory)
        return True

    def copy_file(self, entry: DirectoryEntry, source: int, target: int) -> None:
        """Copy the regular file *entry* from one open directory to another."""
        old = os.open(entry.name, _READ, dir_fd=source)
        try:
            new = os.open(entry.name, _CREATE, 0o600, dir_fd=target)
            try:
                if entry.stat.st_size and not (self._clone and self._cloned(old, new)):
                    copy_data(old, new, entry.stat)
                copy_status(old, new, entry.stat)
            finally:
                os.close(new)
        finally:
            os.close(old)

    def _cloned(self, old: int, new: int) -> bool:
        """Return whether *new* shares the blocks of *old* now. After the first refusal it is not tried again."""
        try:
            fcntl.ioctl(new, _FICLONE, old)
        except OSError as error:
            if error.errno not in {errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS}:
                raise
            self._clone = False
        return self._clone


def _copy_special(entry: DirectoryEntry, source: int, target: int) -> None:
    """Copy a symbolic link, a device or a FIFO."""
    status = entry.stat
    if stat.S_ISLNK(status.st_mode):
        os.symlink(os.readlink(entry.name, dir_fd=source), entry.name, dir_fd=target)
    else:
        os.mknod(entry.name, status.st_mode, status.st_rdev, dir_fd=target)
    # In the order of `copy_status`. A symlink has no mode of its own, and chmod(2) would change its target.
    os.chown(entry.name, status.st_uid, status.st_gid, dir_fd=target, follow_symlinks=False)
    _copy_special_xattrs(entry.name, source, target)
    if not stat.S_ISLNK(status.st_mode):
        os.chmod(entry.name, stat.S_IMODE(status.st_mode), dir_fd=target)
    os.utime(entry.name, ns=(status.st_atime_ns, status.st_mtime_ns), dir_fd=target, follow_symlinks=False)


def _copy_special_xattrs(name: str, source: int, target: int) -> None:
    old = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=source)
    try:
        for key, value in read_xattrs(f"/proc/self/fd/{old}").items():
            os.setxattr(f"/proc/self/fd/{target}/{name}", key, value, follow_symlinks=False)
    finally:
        os.close(old)
