"""The files of a directory as entries of an archive."""

import io
import os
import stat
from collections.abc import Iterator

from pybuild.builder.oci.streams.reading import Readable
from pybuild.builder.oci.tar.entry import Entry, EntryKind
from pybuild.runtime.paths.safepath import scan_directory
from pybuild.runtime.paths.walk import open_beneath

# Should a FIFO have taken the place of a file meanwhile, it must not block.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NOTHING = io.BytesIO()


def directory_entries(root: int) -> Iterator[tuple[Entry, Readable]]:
    """Yield (entry, content) of the files and symlinks below the descriptor *root*; other kinds are skipped."""
    waiting = [""]
    while waiting:
        path = waiting.pop()
        directory = open_beneath(root, path)
        try:
            for found in scan_directory(directory):
                inner = f"{path}/{found.name}" if path else found.name
                if stat.S_ISDIR(found.stat.st_mode):
                    waiting.append(inner)
                    yield Entry(path=inner, kind=EntryKind.DIRECTORY), _NOTHING
                elif stat.S_ISLNK(found.stat.st_mode):
                    target = os.readlink(found.name, dir_fd=directory)
                    yield Entry(path=inner, kind=EntryKind.SYMLINK, linkname=target), _NOTHING
                elif stat.S_ISREG(found.stat.st_mode):
                    with open(os.open(found.name, _FILE, dir_fd=directory), "rb") as file:
                        yield Entry(path=inner, kind=EntryKind.FILE, size=found.stat.st_size), file
        finally:
            os.close(directory)
