"""Unpacking a layer into the directory of an active snapshot: the stream, its digest, its end.

Nothing is flushed to the disk: a snapshot can be made again from its blob at any time.
"""

import hashlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from typing import Protocol

from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import DigestMismatch
from pybuild.builder.oci.layers.unpack_entry import Unpacker
from pybuild.builder.oci.layers.unpack_tree import UnpackTree
from pybuild.builder.oci.limits import DEFAULT_LIMITS, Limits
from pybuild.builder.oci.streams.compression import decompressing
from pybuild.builder.oci.streams.pipeline import PIECE, PipeStage, read_ahead
from pybuild.builder.oci.streams.reading import PieceReader, Readable
from pybuild.builder.oci.tar.entry import Entry
from pybuild.builder.oci.tar.reader import TarReader
from pybuild.runtime.paths.safepath import Root
from pybuild.runtime.values import positional


@positional
class Unpacked:
    """The number of entries, and what was *skipped*, as not permitted by the host or a rule: at most 100 names."""

    entries: int
    skipped: tuple[str, ...]


def entries(stream: Readable, limits: Limits = DEFAULT_LIMITS) -> Iterator[Entry]:
    """Yield the entries of the layer blob *stream*, compressed or not, whiteouts as files. It is read to its end."""
    with closing(decompressing(stream, limits)) as content:
        for entry, _ in TarReader(content, limits):
            yield entry


def unpack(
    stream: Readable,
    directory_fd: int,
    *,
    overlay: bool,
    diff_id: Digest | None,
    lower: Root | None = None,
    limits: Limits = DEFAULT_LIMITS,
    nanoseconds: Sequence[int] = (),
) -> Unpacked:
    """Unpack the layer blob *stream* (compressed or not) into a directory.

    With *overlay* the directory is empty and becomes the difference to *lower*, the tree of the parent snapshot (None:
    the lowest layer). Otherwise it holds a copy of the parent snapshot and becomes the sum. The stream is read to its
    end. *nanoseconds* are those of the times of its entries, in order: the archive has whole seconds. After an error
    the directory holds a part of the layer, and the caller discards it.

    Raises:
        LayerError: the archive is malformed, hostile or over a limit.
        DigestMismatch: the archive is not the one that *diff_id* names.
        OSError: the host failed; names the path.
    """
    hasher = hashlib.new(diff_id.algorithm) if diff_id else None
    plain = _plain(stream, limits)
    content = PieceReader(read_ahead(_hashed(plain, hasher) if hasher else plain))
    with closing(content), closing(UnpackTree(directory_fd, lower, overlay=overlay, limit=limits.directories)) as tree:
        unpacker = Unpacker(tree, limits)
        count = 0
        for entry, data in TarReader(content, limits):
            if count < len(nanoseconds):
                entry = entry._replace(nanoseconds=nanoseconds[count])  # noqa: PLW2901 - the same, in full precision
            count += 1
            tree.forget_closed()
            unpacker.add(entry, data)
        if hasher and diff_id and hasher.hexdigest() != diff_id.hex:
            raise DigestMismatch(f"layer {diff_id} has the diff ID {diff_id.algorithm}:{hasher.hexdigest()}")
        unpacker.finish()
    return Unpacked(count, tuple(unpacker.skipped))


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...


def _plain(stream: Readable, limits: Limits) -> Generator[bytes]:
    """Yield the uncompressed archive piece by piece."""
    with closing(decompressing(stream, limits)) as content:
        while piece := content.read(PIECE):
            yield piece


def _hashed(plain: Generator[bytes], hasher: _Hash) -> Generator[bytes]:
    """Yield the pieces of *plain* through the hasher of the diff ID.

    That works in a thread of its own: to decompress and to hash take about as long as to write the files.
    """
    stage = PipeStage[bytes](hasher.update)
    try:
        with closing(plain):
            for piece in plain:
                stage.put(piece)
                yield piece
        stage.close()
    finally:
        stage.abort()
