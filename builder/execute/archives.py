"""ADD of an archive: its members as entries of the layer, as ``tar -x`` leaves them after a chroot to the destination.

Whether a file is an archive is decided by its content alone: a tar archive, plain or compressed with gzip, bzip2, xz or
zstd. Members cannot leave the destination: names are cleaned, and symlinks on the way, those of the archive and those
that the image has there, are followed with the destination as their root.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from pybuild.builder.content.trees import NodeKind
from pybuild.builder.errors import BuildError, reason
from pybuild.builder.execute.tree_writer import TreeWriter
from pybuild.builder.oci.errors import LayerError
from pybuild.builder.oci.streams.compression import decompressing
from pybuild.builder.oci.tar.entry import Entry, EntryKind, kept_xattr
from pybuild.builder.oci.tar.entry_data import EntryData
from pybuild.builder.oci.tar.fields import parse_header
from pybuild.builder.oci.tar.reader import TarReader

_SMALL = 64 << 10
_BLOCK = 512


@contextmanager
def opened_archive(file: BinaryIO) -> Iterator[BinaryIO | None]:
    """Yield the tar stream in *file*, None when it is not an archive. The caller still owns the file."""
    if _is_tar(file):
        with decompressing(file) as stream:
            yield stream
    else:
        yield None


def _is_tar(file: BinaryIO) -> bool:
    """Return whether the first block of the content is the header of a tar member."""
    head = b""
    with suppress(LayerError, OSError):  # damaged compressed data is no archive
        head = decompressing(file).read(_BLOCK)
    file.seek(0)
    if len(head) < _BLOCK or not any(head):
        return False
    try:
        parse_header(head)
    except LayerError:
        return False
    return True


def unpack_archive(stream: BinaryIO, directory: str, writer: TreeWriter, owner: tuple[int, int] | None) -> None:
    """Add the members of the tar archive in *stream* below *directory*; *owner* overrides theirs.

    As in Docker, parent directories that the archive lacks are owned by root even when there is an *owner*. In a
    set-group-ID directory they get its group, but not its set-group-ID bit.

    Raises:
        BuildError: the archive is damaged or exceeds a limit.
    """
    of_the_copy, writer.owner, writer.passes_bit = writer.owner, None, False
    try:
        for entry, data in TarReader(stream):
            if entry.path:
                _member(entry, data, directory, writer, owner)
    except (LayerError, OSError) as error:
        raise BuildError(f"failed to unpack the archive: {reason(error)}") from error
    finally:
        writer.owner, writer.passes_bit = of_the_copy, True


def _member(entry: Entry, data: EntryData, directory: str, writer: TreeWriter, owner: tuple[int, int] | None) -> None:
    # As in Docker, times before 1970 become 1970.
    placed = entry._replace(path=_place(entry.path, directory, writer)).at(max(entry.mtime_ns, 0))
    if owner is not None:
        placed = placed._replace(uid=owner[0], gid=owner[1])
    if entry.xattrs:
        # Attributes of another system, such as com.apple.quarantine: dockerd refuses a layer that has them.
        placed = placed._replace(xattrs=tuple(pair for pair in entry.xattrs if kept_xattr(pair[0])))
    if entry.kind is EntryKind.SYMLINK:
        placed = placed._replace(mode=0o777)  # as it is on Linux; BSD's tar writes 0755
    if entry.kind is EntryKind.HARDLINK:
        placed = placed._replace(linkname=_link_target(entry, placed.path, directory, writer))
    if entry.kind is not EntryKind.FILE:
        writer.put(placed, over=True)
    elif entry.size <= _SMALL:
        writer.put(placed, data.read(), over=True)
    else:
        writer.put(placed, data.pieces(), over=True)


def _place(path: str, directory: str, writer: TreeWriter) -> str:
    """Return the path at which a member is written: with symlinks of its parents resolved, but not one at the path."""
    above, _, name = path.rpartition("/")
    real, _ = writer.resolve(above, directory)
    return f"{real}/{name}".lstrip("/")


def _link_target(entry: Entry, path: str, directory: str, writer: TreeWriter) -> str:
    """Return the target of the hard link at *path*.

    Raises:
        BuildError: there is no file at the target. A layer with such a link could not be unpacked.
    """
    target = _place(entry.linkname, directory, writer)
    found = writer.lstat(target)
    if found is None or found.kind == NodeKind.DIRECTORY or target == path:
        raise BuildError(
            f"failed to unpack the archive: {entry.path!r}: a hard link to {entry.linkname!r}, which is not a file"
        )
    return target
