"""The root file system of an image as one tar archive."""

import os
import stat
from collections.abc import Callable

from builder.oci.tar_entry import Entry, EntryKind, kept_xattr, portable_xattr
from builder.oci.tar_writer import TarWriter
from builder.outputs.tree import Folder, folders, open_file
from runtime import safepath
from runtime.safepath import read_xattrs

_KINDS = {
    stat.S_IFREG: EntryKind.FILE,
    stat.S_IFDIR: EntryKind.DIRECTORY,
    stat.S_IFLNK: EntryKind.SYMLINK,
    stat.S_IFCHR: EntryKind.CHAR,
    stat.S_IFBLK: EntryKind.BLOCK,
    stat.S_IFIFO: EntryKind.FIFO,
}


def write_tree(root_fd: int, sink: Callable[[bytes | memoryview], None]) -> None:
    """Write everything below the folder behind *root_fd*; sockets are left out, they mean nothing in an archive."""
    writer = TarWriter(sink)
    links: dict[tuple[int, int], str] = {}
    for folder in folders(root_fd):
        for entry in folder.entries:
            _add(writer, folder, entry, links)
    writer.close()


def _add(writer: TarWriter, folder: Folder, found: safepath.Entry, links: dict[tuple[int, int], str]) -> None:
    kind = _KINDS.get(stat.S_IFMT(found.stat.st_mode))
    if kind is None:
        return
    path = folder.inner(found.name)
    first = links.setdefault((found.stat.st_dev, found.stat.st_ino), path) if found.stat.st_nlink > 1 else path
    if kind is not EntryKind.DIRECTORY and first != path:
        writer.add(_entry(path, EntryKind.HARDLINK, found.stat, linkname=first))
    elif kind is EntryKind.FILE:
        fd = open_file(folder.fd, found.name)
        try:
            status = os.fstat(fd)
            writer.add(_entry(path, kind, status, size=status.st_size, xattrs=_xattrs(fd)), fd)
        finally:
            os.close(fd)
    elif kind is EntryKind.SYMLINK:
        writer.add(_entry(path, kind, found.stat, linkname=os.readlink(found.name, dir_fd=folder.fd)))
    else:
        writer.add(_entry(path, kind, found.stat))


def _entry(
    path: str,
    kind: EntryKind,
    status: os.stat_result,
    *,
    size: int = 0,
    linkname: str = "",
    xattrs: tuple[tuple[str, bytes], ...] = (),
) -> Entry:
    device = kind in {EntryKind.CHAR, EntryKind.BLOCK}
    return Entry(
        path=path,
        kind=kind,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        size=size,
        mtime=status.st_mtime_ns // 1_000_000_000,
        linkname=linkname,
        dev_major=os.major(status.st_rdev) if device else 0,
        dev_minor=os.minor(status.st_rdev) if device else 0,
        xattrs=xattrs,
    )


def _xattrs(fd: int) -> tuple[tuple[str, bytes], ...]:
    return tuple((name, portable_xattr(name, value)) for name, value in read_xattrs(fd).items() if kept_xattr(name))
