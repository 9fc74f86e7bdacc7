"""The layer that the same COPY made earlier: the parts of its archive whose files have not changed are used again.

Opening, reading and packing a small file takes twenty times as long as copying its part of an archive. So a COPY of
many small files remembers the positions of its *stretches* in the layer. A stretch is a run of entries of one
directory. It ends after a name that the hash of the name chooses, so that a file that is added or removed does not move
the other boundaries. The next COPY from the same source copies the stretches whose files have the same names, inodes
and times. The archive has the same bytes as one that was packed from the files, and so has the blob.

The blob of the earlier layer is compared with its digest before anything is taken from it, and again while it is read,
before the new layer is committed. Otherwise a damaged blob would become part of a valid one.
"""

import hashlib
import marshal
import stat
import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import BinaryIO, Self
from zlib import crc32

from pybuild.builder.content.contents import Selected
from pybuild.builder.content.source_tree import Group, Item, SourceTree
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
_LENGTH = 64
"""The average length of a stretch, in entries."""
_TICK_NS = 20_000_000
"""How old a change must be to be seen in the time of a file, as in `builder.content.file_digests`."""
_FORMAT = f"1 {sys.version_info.major}.{sys.version_info.minor}"
_KIND = 0o170000  # S_IFMT


@dataclass(frozen=True, slots=True)
class Stretch:
    """Entries of one directory that follow one another in the archive.

    *key* is a digest of everything that determines their bytes in the archive. It is empty when they also depend on
    something else, such as another name of the same file: such a stretch is never used again.
    """

    items: list[Item]
    key: bytes


def earlier_layer(op: Copy, work: Work) -> "EarlierLayer | None":
    """Return the earlier layer of *op*, which may be empty; None when the files are large, or have several sources."""
    if len(work.selected) != 1 or len(op.sources) != 1 or not isinstance(op.sources[0], Pick):
        return None
    selected = work.selected[0]
    if not selected.source.id or len(selected.groups) != 1 or not selected.groups[0].is_directory:
        return None
    items = selected.groups[0].items
    if sum(item.stat.st_size for item in items) > _LARGEST_MEAN * len(items):
        return None
    return EarlierLayer(f"{op.destination}\0{op.sources[0].path}", selected, work)


class EarlierLayer:
    """The stretches of the earlier layer, and those of the layer that is being written. A context manager."""

    def __init__(self, name: str, selected: Selected, work: Work) -> None:
        self._row = f"layer {_FORMAT} {selected.source.id} {name}"
        self._began_ns = selected.began_ns
        self._store, self._say = work.store, work.say
        self._open = ExitStack()
        # With --no-cache nothing that earlier builds left is used.
        self._descriptor, self._known = (None, {}) if work.job.anew else self._load()
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

    def stretches(self, group: Group, source: SourceTree, salt: str) -> list[Stretch]:
        """Return the items below *group* in stretches, in reverse order.

        *salt* is what else determines the archive: the destination and the flags of the COPY. When more than half of
        the items are new, nothing is taken from the earlier layer: it would be read for too little.
        """
        found = [Stretch(run, self._key(run, source, salt)) for run in _runs(group.items[1:])]
        known = sum(len(each.items) for each in found if each.key in self._known)
        if 2 * known < len(group.items) or not self._is_whole():
            self._known = {}
        found.reverse()
        return found

    def _is_whole(self) -> bool:
        """Return whether the blob of the earlier layer matches its digest; else the step says so."""
        try:
            with self._blob() as blob:
                for _ in pieces(blob):
                    check()
        except OciError as error:
            self._say(f"nothing is taken from the layer of an earlier build: {error}")
            return False
        return True

    def _blob(self) -> BinaryIO:
        """Open the blob. The reader raises OciError at the end when the content does not match the digest."""
        assert self._descriptor is not None  # noqa: S101 - else nothing is known
        return verifying(self._store.blobs.open(self._descriptor), self._descriptor.digest, self._descriptor.size)

    def _key(self, run: list[Item], source: SourceTree, salt: str) -> bytes:
        lines = [salt, run[0].name.rpartition("/")[0]]
        device = None
        for item in run:
            st = item.stat
            mode = st.st_mode
            if st.st_dev != device:
                device, mounted = st.st_dev, source.file_system(item)
                if mounted is None:
                    return b""
                lines.append(mounted)
            if (mode & _KIND != stat.S_IFREG or st.st_nlink > 1) and not _stands_alone(mode, st.st_nlink):
                return b""
            lines.append(f"{item.name}\0{mode}\0{st.st_ino}\0{st.st_size}\0{st.st_mtime_ns}\0{st.st_ctime_ns}")
        return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).digest()

    def has(self, stretch: Stretch) -> bool:
        """Return whether the stretch is in the earlier layer, after the parts that were taken: it is read only once."""
        return stretch.key in self._known and self._known[stretch.key][0] >= self._at

    def take(self, stretch: Stretch) -> Iterator[memoryview]:
        """Yield the bytes of the stretch in the archive. Raises OciError when the blob is damaged meanwhile."""
        start, end = self._known[stretch.key]
        while self._at < end:
            if not self._rest:
                self._rest = memoryview(self._next())
            skipped = min(max(start - self._at, 0), len(self._rest))
            part = self._rest[skipped : end - self._at]
            self._rest = self._rest[skipped + len(part) :]
            self._at += skipped + len(part)
            if part:
                yield part

    def _next(self) -> bytes:
        if self._content is None:
            content = decompressing(self._open.enter_context(self._blob()))
            self._content = self._open.enter_context(closing(read_ahead(pieces(content))))
        piece = next(self._content, b"")
        if not piece:
            raise LayerError("the layer of an earlier build is shorter than it was")
        return piece

    def note(self, stretch: Stretch, start: int, end: int) -> None:
        """Remember the position of the stretch in the new layer, from *start* to *end*.

        A stretch is left out when a file of it changed so recently that a later change might leave the time as it is.
        """
        latest = self._began_ns - _TICK_NS
        # The files of a stretch of the earlier layer were old enough when that layer was made.
        known = stretch.key in self._known
        if known or (stretch.key and all(item.stat.st_ctime_ns < latest for item in stretch.items)):
            self._made[stretch.key] = (start, end)

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


def _stands_alone(mode: int, links: int) -> bool:
    """Return whether the bytes of an entry depend on no other entry, as those of a hard link do."""
    return stat.S_ISDIR(mode) or (links <= 1 and (stat.S_ISREG(mode) or stat.S_ISLNK(mode)))


def _runs(items: list[Item]) -> Iterator[list[Item]]:
    """Divide *items* where the directory changes, and after each name whose hash is a multiple of `_LENGTH`."""
    run: list[Item] = []
    directory = None
    for item in items:
        above = item.name.rpartition("/")[0]
        if above != directory:
            directory = above
            if run:
                yield run
                run = []
        run.append(item)
        if crc32(item.name.encode("utf-8", "surrogateescape")) % _LENGTH == 0:
            yield run
            run = []
    if run:
        yield run
