"""``cp`` with ``-``: a tar archive is made of files of a container, or unpacked into a container."""

import os
from collections.abc import Callable
from contextlib import closing
from stat import S_ISDIR, S_ISLNK

from pybuild.builder.containers.copying import last_name
from pybuild.builder.containers.errors import ContainerError
from pybuild.builder.oci.layers.host_entry import entry_of
from pybuild.builder.oci.layers.unpack_entry import Unpacker
from pybuild.builder.oci.layers.unpack_tree import UnpackTree
from pybuild.builder.oci.limits import DEFAULT_LIMITS
from pybuild.builder.oci.streams.compression import decompressing
from pybuild.builder.oci.streams.pipeline import read_ahead
from pybuild.builder.oci.streams.reading import PieceReader, Readable
from pybuild.builder.oci.streams.verified import pieces
from pybuild.builder.oci.tar.entry import Entry, EntryKind
from pybuild.builder.oci.tar.reader import TarReader
from pybuild.builder.oci.tar.writer import TarWriter
from pybuild.builder.outputs.tar import write_directory
from pybuild.runtime.paths.safepath import Root

Sink = Callable[[bytes | memoryview], None]


def pack(root: Root, path: str, sink: Sink, *, follow: bool) -> None:
    """Write what is at *path* below *root* as a tar archive to *sink*.

    The entries begin with the last name of *path*; when it ends with ``/.``, they are the directory itself, as ``./``,
    and the names in it. What *follow* finds has its own name.

    Raises:
        ContainerError: there is nothing at the path, or something that an archive cannot hold.
    """
    found = root.stat(path, follow=follow or path.endswith(("/", "/.")))
    if found is None:
        raise ContainerError(f"Could not find the file /{path.rstrip('/')} in the source")
    name = "." if path.endswith("/.") else last_name(root.real(path) if follow else path)
    if S_ISDIR(found.st_mode):
        directory = root.open(path.rstrip("/") or ".", os.O_RDONLY | os.O_DIRECTORY)
        try:
            # As in Docker, a directory without a name is "./" itself.
            write_directory(name, directory, sink)
        finally:
            os.close(directory)
        return
    _pack_file(root, root.real(path) if follow else path.rstrip("/"), name, sink)


def _pack_file(root: Root, path: str, name: str, sink: Sink) -> None:
    writer = TarWriter(sink)
    above, last = root.parent(path)
    try:
        status = os.stat(last, dir_fd=above, follow_symlinks=False)
        link = os.readlink(last, dir_fd=above) if S_ISLNK(status.st_mode) else ""
        entry = entry_of(name, status, linkname=link)
        if entry is None:
            raise ContainerError(f"/{path} is nothing that an archive can hold")
        if entry.kind is not EntryKind.FILE:
            writer.add(entry)
        else:
            file = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=above)
            try:
                writer.add(entry._replace(size=os.fstat(file).st_size), file)
            finally:
                os.close(file)
    finally:
        os.close(above)
    writer.close()


def unpack_into(root: Root, path: str, stream: Readable) -> None:
    """Unpack an archive, which may be compressed, into the directory *path* below *root*.

    Owners and modes are those of the archive. Nothing is written outside of *root*, whatever the names, hard links and
    symlinks of the archive are.

    Raises:
        ContainerError: there is no such directory.
        LayerError: the stream is not an archive, or the archive is hostile.
    """
    found = root.stat(path)
    if found is None:
        raise ContainerError(f"Could not find the file /{path.rstrip('/')} in the container")
    if not S_ISDIR(found.st_mode):
        raise ContainerError(f"destination /{path} must be a directory")
    place, limits = root.real(path).strip("/").removeprefix("."), DEFAULT_LIMITS
    directory = root.open(".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        content = PieceReader(read_ahead(pieces(decompressing(stream, limits))))
        with closing(content), closing(UnpackTree(directory, None, overlay=False, limit=limits.directories)) as tree:
            unpacker = Unpacker(tree, limits, whiteouts=False)
            for entry, data in TarReader(content, limits):
                unpacker.add(_below(place, entry), data)
            unpacker.finish()
    finally:
        os.close(directory)


def _below(place: str, entry: Entry) -> Entry:
    """Return *entry* with its path, and the target of a hard link, moved into the directory *place*."""
    link = f"{place}/{entry.linkname.lstrip('/')}" if entry.kind is EntryKind.HARDLINK and place else entry.linkname
    return entry._replace(path=f"{place}/{entry.path}".strip("/"), linkname=link)
