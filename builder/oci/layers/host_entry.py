"""Entries of an archive for files of this host."""

import os
import stat
from collections.abc import Iterable

from pybuild.builder.oci.tar.entry import Entry, EntryKind, kept_xattr, portable_xattr
from pybuild.runtime.paths.safepath import read_xattrs

_KINDS = {
    stat.S_IFREG: EntryKind.FILE,
    stat.S_IFDIR: EntryKind.DIRECTORY,
    stat.S_IFLNK: EntryKind.SYMLINK,
    stat.S_IFCHR: EntryKind.CHAR,
    stat.S_IFBLK: EntryKind.BLOCK,
    stat.S_IFIFO: EntryKind.FIFO,
}

Xattrs = tuple[tuple[str, bytes], ...]


def entry_of(
    path: str,
    found: os.stat_result,
    *,
    linkname: str = "",
    xattrs: Xattrs = (),
    owner: tuple[int, int] | None = None,
) -> Entry | None:
    """Return the entry for a file with the status *found*, and with another *owner* if one is given.

    None for what no layer can hold: a socket, and the character device 0:0, which overlayfs takes for the mark of
    something removed.
    """
    mode = found.st_mode
    kind = _KINDS.get(stat.S_IFMT(mode))
    if kind is None or (kind is EntryKind.CHAR and found.st_rdev == 0):
        return None
    seconds, rest = divmod(found.st_mtime_ns, 1_000_000_000)
    uid, gid = owner or (found.st_uid, found.st_gid)
    size = found.st_size if kind is EntryKind.FILE else 0
    major = minor = 0
    if kind is EntryKind.CHAR or kind is EntryKind.BLOCK:
        major, minor = os.major(found.st_rdev), os.minor(found.st_rdev)
    # By position, which takes half the time: a layer may have a million of them.
    return Entry(path, kind, mode & 0o7777, uid, gid, size, seconds, linkname, major, minor, xattrs, rest)


def image_xattrs(fd: int) -> Xattrs:
    """Return the extended attributes of an open file or directory that belong to an image, by name."""
    found = read_xattrs(fd)
    return portable_xattrs(found.items()) if found else ()


def portable_xattrs(xattrs: Iterable[tuple[str, bytes]]) -> Xattrs:
    """Return those of *xattrs* that belong to an image, in the form that they have in an archive."""
    return tuple((name, portable_xattr(name, value)) for name, value in xattrs if kept_xattr(name))
