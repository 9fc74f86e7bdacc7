"""The root file system of an image as one tar archive."""

import os
import stat
from collections.abc import Callable
from dataclasses import replace

from builder.oci.host_entry import entry_of, image_xattrs
from builder.oci.tar_entry import EntryKind
from builder.oci.tar_writer import TarWriter
from builder.outputs.tree import Folder, folders, open_file
from runtime.safepath import Entry


def write_tree(root_fd: int, sink: Callable[[bytes | memoryview], None]) -> None:
    """Write everything below the folder behind *root_fd*; sockets are left out, they mean nothing in an archive."""
    writer = TarWriter(sink)
    links: dict[tuple[int, int], str] = {}
    for folder in folders(root_fd):
        for entry in folder.entries:
            _add(writer, folder, entry, links)
    writer.close()


def _add(writer: TarWriter, folder: Folder, found: Entry, links: dict[tuple[int, int], str]) -> None:
    path = folder.inner(found.name)
    is_link = stat.S_ISLNK(found.stat.st_mode)
    entry = entry_of(path, found.stat, linkname=os.readlink(found.name, dir_fd=folder.fd) if is_link else "")
    if entry is None:
        return
    first = links.setdefault((found.stat.st_dev, found.stat.st_ino), path) if found.stat.st_nlink > 1 else path
    if entry.kind is not EntryKind.DIRECTORY and first != path:
        writer.add(replace(entry, kind=EntryKind.HARDLINK, size=0, linkname=first))
    elif entry.kind is EntryKind.FILE:
        fd = open_file(folder.fd, found.name)
        try:
            writer.add(replace(entry, size=os.fstat(fd).st_size, xattrs=image_xattrs(fd)), fd)
        finally:
            os.close(fd)
    else:
        writer.add(entry)
