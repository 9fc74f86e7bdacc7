"""The layer that the same COPY made earlier: the parts of its archive whose files have not changed are used again.

Opening, reading and packing a small file takes twenty times as long as copying its part of an archive. So a COPY of
many small files remembers the positions of its *stretches* in the layer (`builder.content.selection_digest`). The next
COPY from the same source copies the stretches whose files have the same names, inodes and times. The archive has the
same bytes as one that was packed from the files, and so has the blob.

The blob of the earlier layer is compared with its digest before anything is taken from it, and again while it is read,
before the new layer is committed. Otherwise a damaged blob would become part of a valid one.
"""

import hashlib
import marshal
import os
import stat
import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing, suppress
from types import TracebackType
from typing import BinaryIO, NamedTuple, Self

from pybuild.builder.content.file_digests import TICK_NS
from pybuild.builder.content.selection_digest import Stretch
from pybuild.builder.content.selections import Selected
from pybuild.builder.content.source_tree import Group, Item
from pybuild.builder.execute.job import Work
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import LayerError, OciError
from pybuild.builder.oci.layers.layer import Layer, LayerWriter
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.oci.streams.compression import decompressing
from pybuild.builder.oci.streams.pipeline import read_ahead
from pybuild.builder.oci.streams.verified import pieces, verifying
from pybuild.builder.plan.ops import Copy, Pick
from pybuild.runtime.stopping import check

_LARGEST_MEAN = 16 << 10
"""The largest average size, in bytes: larger files are read faster than their part of a layer is decompressed."""
_FORMAT = f"2 {sys.version_info.major}.{sys.version_info.minor}"


class Part(NamedTuple):
    """A stretch of the archive.

    *key* is a digest of everything that determines its bytes, b"" when change times cannot be trusted.
    """

    items: list[Item]
    key: bytes


def earlier_layer(op: Copy, work: Work) -> "EarlierLayer | None":
    """Return the earlier layer of *op*, which may be empty; None when the files are large, or have several sources."""
    if len(work.selected) != 1 or len(op.sources) != 1 or not isinstance(op.sources[0], Pick):
        return None
    selected = work.selected[0]
    if selected.stretches is None or len(selected.groups) != 1 or not selected.groups[0].is_directory:
        return None
    items = selected.groups[0].items
    if sum([item.stat.st_size for item in items]) > _LARGEST_MEAN * len(items):
        return None
    return EarlierLayer(f"{op.destination}\0{op.sources[0].path}", selected, work)


class EarlierLayer:
    """The stretches of the earlier layer, and those of the layer that is being written. A context manager."""

    def __init__(self, name: str, selected: Selected, work: Work) -> None:
        self._row = f"layer {_FORMAT} {selected.source.id} {name}"
        self._began_ns = selected.began_ns
        self._stretches = (selected.stretches or [[]])[0]
        self._store, self._say = work.store, work.say
        self._open = ExitStack()
        # With --no-cache nothing that earlier builds left is used.
        self._descriptor, self._known = (None, {}) if work.job.ignore_cache else self._load()
        self._made: dict[bytes, tuple[int, int]] = {}
        self._content: Generator[bytes] | None = None
        self._rest = memoryview(b"")
        self._at = 0
        """The position in the archive of the earlier layer at which `_rest` begins."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._open.close()

    def _load(self) -> tuple[Descriptor | None, dict[bytes, tuple[int, int]]]:
        row = self._store.database.one("SELECT digests FROM file_digests WHERE folder = ?", (self._row,))
        if row is None or not isinstance(row[0], bytes):
            return None, {}
        with suppress(ValueError, EOFError, TypeError, OciError):
            digest, size, media_type, known = marshal.loads(row[0])  # noqa: S302 - our own row in our own store
            descriptor = Descriptor(media_type=media_type, digest=Digest.parse(digest), size=size)
            if self._store.blobs.has(descriptor):
                return descriptor, known
        return None, {}

    def parts(self, group: Group, salt: str) -> list[Part]:
        """Return the items below *group* in stretches, in reverse order.

        *salt* is what else determines the archive: the destination and the flags of the COPY. When more than half of
        the items are new, nothing is taken from the earlier layer: it would be read for too little.
        """
        below = (stretch for stretch in self._stretches if stretch.start)
        found = [Part(group.items[run.start : run.end], _key(run, salt)) for run in below]
        known = sum(len(part.items) for part in found if part.key in self._known)
        if 2 * known < len(group.items) or not self._is_whole():
            self._known = {}
        found.reverse()
        return found

    def _is_whole(self) -> bool:
        """Return whether the blob of the earlier layer matches its digest; else the step says so."""
        try:
            with self._open_blob() as blob:
                for _ in pieces(blob):
                    check()
        except OciError as error:
            self._say(f"nothing is taken from the layer of an earlier build: {error}")
            return False
        return True

    def _open_blob(self) -> BinaryIO:
        """Open the blob. The reader raises OciError at the end when the content does not match the digest."""
        assert self._descriptor is not None  # noqa: S101 - else nothing is known
        return verifying(self._store.blobs.open(self._descriptor), self._descriptor.digest, self._descriptor.size)

    def has(self, part: Part) -> bool:
        """Return whether the stretch is in the earlier layer, after the parts that were taken: it is read only once."""
        return part.key in self._known and self._known[part.key][0] >= self._at

    def take(self, part: Part) -> Iterator[memoryview]:
        """Yield the bytes of the stretch in the archive. Raises OciError when the blob is damaged meanwhile."""
        start, end = self._known[part.key]
        while self._at < end:
            if not self._rest:
                self._rest = memoryview(self._next())
            skipped = min(max(start - self._at, 0), len(self._rest))
            piece = self._rest[skipped : end - self._at]
            self._rest = self._rest[skipped + len(piece) :]
            self._at += skipped + len(piece)
            if piece:
                yield piece

    def _next(self) -> bytes:
        if self._content is None:
            content = decompressing(self._open.enter_context(self._open_blob()))
            self._content = self._open.enter_context(closing(read_ahead(pieces(content))))
        piece = next(self._content, b"")
        if not piece:
            raise LayerError("the layer of an earlier build is shorter than it was")
        return piece

    def note(self, part: Part, start: int, end: int) -> None:
        """Remember the position of the stretch in the new layer, from *start* to *end*.

        A stretch is left out when a file of it changed so recently that a later change might leave the time as it is,
        or when an entry depends on others.
        """
        # A stretch of the earlier layer was checked when that layer was written.
        if part.key in self._known or (part.key and self._is_steady(part.items)):
            self._made[part.key] = (start, end)

    def _is_steady(self, items: list[Item]) -> bool:
        latest_ns = self._began_ns - TICK_NS
        return all(item.stat.st_ctime_ns < latest_ns and _stands_alone(item.stat) for item in items)

    def commit(self, writer: LayerWriter) -> Layer:
        """Commit the new layer, and remember it as the earlier one for the next build.

        Raises:
            OciError: the blob of the earlier layer does not match its digest.
        """
        # The rest of the blob is read for its digest alone.
        for _ in self._content or ():
            check()
        layer = writer.commit()
        descriptor = layer.descriptor
        data = marshal.dumps((str(descriptor.digest), descriptor.size, descriptor.media_type, self._made))
        self._store.database.run("REPLACE INTO file_digests VALUES (?, ?)", (self._row, data))
        return layer


def _key(stretch: Stretch, salt: str) -> bytes:
    where = os.fsencode(f"{salt}\0{stretch.directory}\0")
    return hashlib.sha256(where + stretch.listing).digest() if stretch.listing else b""


def _stands_alone(status: os.stat_result) -> bool:
    """Return whether the bytes of an entry depend on no other entry, as those of a hard link do."""
    mode = status.st_mode
    return stat.S_ISDIR(mode) or (status.st_nlink <= 1 and (stat.S_ISREG(mode) or stat.S_ISLNK(mode)))
