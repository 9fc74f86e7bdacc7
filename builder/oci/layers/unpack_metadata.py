"""Giving what was unpacked its owner, mode, attributes and times, by descriptor and never through a symlink."""

import errno
import os
import stat
from collections.abc import Iterable

from pybuild.builder.oci.tar.entry import Entry, kept_xattr, portable_xattr
from pybuild.runtime.paths.filesystems import disk_space

_NOT_PERMITTED = frozenset({errno.ENOTSUP, errno.EPERM})
_TOO_LARGE = frozenset({errno.E2BIG, errno.ERANGE, errno.ENOSPC})


def give(fd: int, uid: int, gid: int) -> None:
    """Set the owner of an open file. Without root, where only build contexts are unpacked, the owner stays the user."""
    if os.geteuid() == 0:
        os.fchown(fd, uid, gid)


def set_status(fd: int, entry: Entry) -> tuple[str, ...]:
    """Give the open file or directory the status of *entry*, except its time; return the attributes left out.

    The order matters: a change of the owner clears the set-user-id bit and the file capabilities.
    """
    give(fd, entry.uid, entry.gid)
    skipped = _set_xattrs(fd, entry.xattrs) if entry.xattrs else ()
    os.fchmod(fd, entry.mode)
    return skipped


def _set_xattrs(fd: int | str, xattrs: Iterable[tuple[str, bytes]]) -> tuple[str, ...]:
    """Set the attributes that belong to an image; return the names that this file system or user cannot have."""
    skipped = []
    for name, value in xattrs:
        if not kept_xattr(name):
            continue
        try:
            os.setxattr(fd, name, portable_xattr(name, value))
        except OSError as error:
            if error.errno in _TOO_LARGE and _has_room(fd):
                text = f"the attribute {name!r} of {len(value)} bytes is more than this file system keeps"
                raise OSError(errno.EINVAL, text) from error
            if error.errno not in _NOT_PERMITTED:
                text = f"the extended attribute {name} of {len(value)} bytes: {error.strerror}"
                raise OSError(error.errno, text) from error
            skipped.append(name)
    return tuple(skipped)


def _has_room(target: int | str) -> bool:
    """Return whether the file system is not full: ENOSPC of an attribute may also mean that it is too long."""
    return isinstance(target, str) or disk_space(target)[1] > 0


def clear_xattrs(fd: int) -> None:
    """Remove the attributes that belong to an image."""
    for name in os.listxattr(fd):
        if kept_xattr(name):
            os.removexattr(fd, name)


def copy_status(fd: int, status: os.stat_result, xattrs: Iterable[tuple[str, bytes]]) -> None:
    """Give the open file or directory the status of another one, its time included."""
    os.fchown(fd, status.st_uid, status.st_gid)
    _set_xattrs(fd, xattrs)
    os.fchmod(fd, status.st_mode & 0o7777)
    os.utime(fd, ns=(status.st_mtime_ns, status.st_mtime_ns))


def set_default_status(fd: int) -> None:
    """Give an open directory that no entry describes a fixed status, so that each unpacking makes the same tree."""
    give(fd, 0, 0)
    clear_xattrs(fd)
    os.fchmod(fd, 0o755)
    os.utime(fd, ns=(0, 0))


def set_status_of_name(dir_fd: int, name: str, entry: Entry) -> None:
    """Give the symlink, device or FIFO *name* in a directory the status of *entry*, without opening or following it."""
    if os.geteuid() == 0:
        os.chown(name, entry.uid, entry.gid, dir_fd=dir_fd, follow_symlinks=False)
    if not entry.linkname:
        # There is no fchmodat that follows nothing before Linux 6.6; the magic link leads to this very inode.
        handle = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
        try:
            os.chmod(f"/proc/self/fd/{handle}", entry.mode)
        finally:
            os.close(handle)
    os.utime(name, ns=time_pair(entry), dir_fd=dir_fd, follow_symlinks=False)


def set_status_of_hard_link(dir_fd: int, name: str, entry: Entry) -> tuple[str, ...]:
    """Give the file that the hard link *name* leads to the status of the link's *entry*; return attributes left out.

    A file has one status, and as in Docker that of the last header counts. In nearly all archives they agree.
    """
    found = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    expected = (entry.uid, entry.gid, time_pair(entry)[1])
    if stat.S_ISLNK(found.st_mode) or (*expected, entry.mode) == (
        found.st_uid,
        found.st_gid,
        found.st_mtime_ns,
        stat.S_IMODE(found.st_mode),
    ):
        return ()
    handle = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        itself = f"/proc/self/fd/{handle}"
        os.chown(itself, entry.uid, entry.gid)
        skipped = _set_xattrs(itself, entry.xattrs)
        os.chmod(itself, entry.mode)
        os.utime(itself, ns=time_pair(entry))
    finally:
        os.close(handle)
    return skipped


def time_pair(entry: Entry) -> tuple[int, int]:
    """Return the times of access and modification in nanoseconds."""
    return entry.mtime_ns, entry.mtime_ns
