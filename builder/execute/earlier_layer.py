"""What an earlier layer of the same COPY has already: parts of its archive whose files have not changed since.

To open, read and pack a small file takes twenty times as long as to copy its part of an archive. So a COPY of many
small files remembers where in the layer its *stretches* are: runs of entries of one directory, which end after a name
by its hash, so that a file more or less moves no other boundary. The next COPY from there takes over the stretches
whose files have the same names, inodes and times. The archive has the same bytes either way, and with it the blob.

The blob of the earlier layer is compared with its digest before anything is taken from it, and once more on the way,
before the new layer gets a name: else a damaged blob would become a valid one.
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
from pybuild.builder.content.selection import Group, Item, SourceTree
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
"""Larger files are read faster than their part of a layer is decompressed."""
_LENGTH = 64
"""Of a stretch, in entries, on the average."""
_TICK_NS = 20_000_000
"""As in `builder.content.file_digests`."""
_FORMAT = f"1 {sys.version_info.major}.{sys.version_info.minor}"
_KIND = 0o170000  # S_IFMT


@dataclass(frozen=True, slots=True)
class Stretch:
    """Entries of one directory that follow one another in the archive.

    *key* stands for all that decides on their bytes; it is empty where something else does, too.
    """

    items: list[Item]
    key: bytes


def earlier_layer(op: Copy, work: Work) -> "EarlierLayer | None":
    """Return what is known of an earlier layer of *op*; None when its files are large, or of several sources."""
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
    """The stretches of an earlier layer, and those of the one that is being written. A context manager."""

    def __init__(self, name: str, selected: Selected, work: Work) -> None:
        self._row = f"layer {_FORMAT} {selected.source.id} {name}"
        self._began_ns = selected.began_ns
        self._store, self._say = work.store, work.say
        self._open = ExitStack()
        # Whoever wants a step to run again distrusts what earlier builds left.
        self._descriptor, self._known = (None, {}) if work.job.anew else self._load()
        self._made: dict[bytes, tuple[int, int]] = {}
        self._content: Generator[bytes] | None = None
        self._rest = memoryview(b"")
        self._at = 0
        """Where in the archive of the earlier layer *rest* begins."""

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
        """Return the items below *group* in stretches, the last first; *salt* is what else decides on the archive.

        When most of them are new, nothing is taken from the earlier layer.
        """
        found = [Stretch(run, self._key(run, source, salt)) for run in _runs(group.items[1:])]
        known = sum(len(each.items) for each in found if each.key in self._known)
        if 2 * known < len(group.items) or not self._is_whole():
            self._known = {}
        found.reverse()
        return found

    def _is_whole(self) -> bool:
        """Return whether the blob of the earlier layer is what its name says."""
        try:
            with self._blob() as blob:
                for _ in pieces(blob):
                    check()
        except OciError as error:
            self._say(f"nothing is taken from the layer of an earlier build: {error}")
            return False
        return True

    def _blob(self) -> BinaryIO:
        """Open the blob, for a reader that raises at its end when it is another."""
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
        """Return whether the stretch is in the earlier layer, behind what was taken from there."""
        return stretch.key in self._known and self._known[stretch.key][0] >= self._at

    def take(self, stretch: Stretch) -> Iterator[memoryview]:
        """Yield the part of the archive that the stretch is. Raises OciError when the blob changes meanwhile."""
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
        """Note where in the new layer the stretch is, unless one of its files could change without a trace."""
        latest = self._began_ns - _TICK_NS
        # What the earlier layer has was old enough when that was made.
        known = stretch.key in self._known
        if known or (stretch.key and all(item.stat.st_ctime_ns < latest for item in stretch.items)):
            self._made[stretch.key] = (start, end)

    def commit(self, writer: LayerWriter) -> Layer:
        """Commit the new layer, which is the earlier one from now on. Raises OciError when that one has changed."""
        for _ in self._content or ():
            check()
        layer = writer.commit()
        descriptor = layer.descriptor
        data = marshal.dumps((str(descriptor.digest), descriptor.size, descriptor.media_type, self._made))
        self._store.database.run("REPLACE INTO file_digests VALUES (?, ?)", (self._row, data))
        return layer


def _stands_alone(mode: int, links: int) -> bool:
    """Return whether the bytes of an entry depend on none elsewhere, as those of one of several names of a file do."""
    return stat.S_ISDIR(mode) or (links <= 1 and (stat.S_ISREG(mode) or stat.S_ISLNK(mode)))


def _runs(items: list[Item]) -> Iterator[list[Item]]:
    """Cut *items* where the directory changes, and after names that their hash chooses."""
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
