"""From what lies in a file system of this host to the entries of an archive."""

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


def entry_of(path: str, found: os.stat_result, *, linkname: str = "", xattrs: Xattrs = ()) -> Entry | None:
    """Return the entry for what has the status *found*; None for what no layer can hold.

    That is a socket, and the character device 0:0, which overlayfs takes for the mark of something removed.
    """
    kind = _KINDS.get(stat.S_IFMT(found.st_mode))
    if kind is None or (kind is EntryKind.CHAR and found.st_rdev == 0):
        return None
    device = found.st_rdev if kind in {EntryKind.CHAR, EntryKind.BLOCK} else 0
    return Entry(
        path=path,
        kind=kind,
        mode=stat.S_IMODE(found.st_mode),
        uid=found.st_uid,
        gid=found.st_gid,
        size=found.st_size if kind is EntryKind.FILE else 0,
        mtime=int(found[stat.ST_MTIME]),
        linkname=linkname,
        dev_major=os.major(device),
        dev_minor=os.minor(device),
        xattrs=xattrs,
        nanoseconds=found.st_mtime_ns % 1_000_000_000,
    )


def image_xattrs(fd: int) -> Xattrs:
    """Return the extended attributes of an open file or directory that belong to an image, by name."""
    return portable_xattrs(read_xattrs(fd).items())


def portable_xattrs(found: Iterable[tuple[str, bytes]]) -> Xattrs:
    """Return those of *found* that belong to an image, in the form that they have in an archive."""
    return tuple((name, portable_xattr(name, value)) for name, value in found if kept_xattr(name))
