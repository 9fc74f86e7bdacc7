"""Reading tar archives: v7, ustar, GNU and PAX, from a stream, trusting nothing that it says.

The archive is read to its end, blocks behind the end mark included, so that whoever writes to the other side of a pipe
is not left waiting and a digest covers every byte.
"""

import os
from collections.abc import Iterator

from pybuild.builder.oci.errors import LayerError
from pybuild.builder.oci.limits import DEFAULT_LIMITS, MAX_NAME, Limits, has_long_name
from pybuild.builder.oci.streams.pipeline import PIECE
from pybuild.builder.oci.streams.reading import BufferedSource, Readable
from pybuild.builder.oci.tar.entry import BLOCK, Entry, EntryKind, clean_path
from pybuild.builder.oci.tar.entry_data import EntryData
from pybuild.builder.oci.tar.fields import (
    ZERO_BLOCK,
    RawHeader,
    Records,
    decimal,
    parse_header,
    parse_records,
    pax_id,
    pax_nanoseconds,
    pax_time,
    shown,
    text,
)
from pybuild.builder.oci.tar.sparse import SparseMap, read_gnu, read_pax
from pybuild.runtime.paths import MAX_PATH

_KINDS = {kind.value: kind for kind in EntryKind} | {
    b"\0": EntryKind.FILE,
    b"7": EntryKind.FILE,  # contiguous: means nothing today
    b"S": EntryKind.FILE,
}
_PLAIN = frozenset(_KINDS) - {b"S"}
_XATTR = b"SCHILY.xattr."


class TarReader:
    """Iterates over (entry, data) of an archive; extension headers are applied and do not show.

    Raises:
        LayerError: while iterating: the archive is malformed, truncated or over a limit.
    """

    def __init__(self, stream: Readable, limits: Limits = DEFAULT_LIMITS) -> None:
        self._source = BufferedSource(stream)
        self._limits = limits
        self._global: dict[bytes, bytes] = {}
        self._headers = self._total = 0

    def __iter__(self) -> Iterator[tuple[Entry, EntryData]]:
        """Yield each entry with its data."""
        while (member := self._next()) is not None:
            yield member
            member[1].finish()
        while self._source.view(PIECE):
            pass

    def _block(self) -> bytes | None:
        """Return the next header block, None at the end of the archive."""
        block = self._source.take(BLOCK)
        if block == ZERO_BLOCK:
            # Two of them are the end mark; one alone before more entries would hide these from other readers.
            if self._source.take(BLOCK) not in {b"", ZERO_BLOCK}:
                raise LayerError("a single zero block in the middle of the archive")
            return None
        if block and len(block) < BLOCK:
            # Less than one header is hardly an archive that was cut: most such files are texts, or small zip files.
            no_tar = "this is not a tar archive, or it is damaged"
            raise LayerError("the archive ends in the middle of a header" if self._headers else no_tar)
        self._headers += 1
        if self._headers > self._limits.entries:
            raise LayerError(f"more than {self._limits.entries} entries")
        return block or None

    def _next(self) -> tuple[Entry, EntryData] | None:
        records: Records = []
        name = link = None
        extended = False
        while (block := self._block()) is not None:
            header = parse_header(block)
            match header.flag:
                case b"x":
                    records = parse_records(self._extension(header))
                case b"g":
                    self._add_global(parse_records(self._extension(header)))
                case b"L":
                    name = text(self._extension(header))
                case b"K":
                    link = text(self._extension(header))
                case _:
                    return self._member(header, block, records, (name, link))
            extended = header.flag != b"g"
        if extended:
            raise LayerError("the archive ends behind an extension header")
        return None

    def _extension(self, header: RawHeader) -> bytes:
        """Return the data of an extension header."""
        if header.size > self._limits.header:
            raise LayerError(f"an extension header of {header.size} bytes")
        data = self._source.take(header.size + -header.size % BLOCK)
        if len(data) < header.size:
            raise LayerError("the archive ends in the middle of an extension header")
        return data[: header.size]

    def _add_global(self, records: Records) -> None:
        self._global |= dict(records)
        if sum(len(key) + len(value) for key, value in self._global.items()) > self._limits.header:
            raise LayerError("too many global PAX records")

    def _member(
        self, header: RawHeader, block: bytes, local: Records, long: tuple[bytes | None, bytes | None]
    ) -> tuple[Entry, EntryData]:
        if not local and not self._global and header.flag in _PLAIN and long == (None, None):
            return self._plain_member(header)
        # An empty value takes a record back (POSIX.1-2001, pax, "Extended Header"); attributes may be empty.
        given = (self._global | dict(local)).items() if local or self._global else ()
        records = {key: value for key, value in given if value or key.startswith(_XATTR)}
        kind = _kind(header)
        sparse = SparseMap(0, 0, ())
        if kind is EntryKind.FILE:
            sparse = self._sparse_map(header, block, records, local)
        self._count(sparse.size)
        # GNU tar puts a made-up name, GNUSparseFile.PID/NAME, into the other places for the name of a sparse file.
        name = records.get(b"GNU.sparse.name") or long[0] or records.get(b"path") or header.name
        link = long[1] or records.get(b"linkpath") or header.link
        entry = _entry(header, kind, records, (_path(name), _link(link, kind), sparse.size))
        return entry, EntryData(self._source, sparse.stored, sparse.segments, sparse.size)

    def _plain_member(self, header: RawHeader) -> tuple[Entry, EntryData]:
        """Return the member whose header says everything, as those of nearly all entries do."""
        kind = _kind(header)
        size = header.size if kind is EntryKind.FILE else 0
        self._count(size)
        entry = _entry(header, kind, {}, (_path(header.name), _link(header.link, kind), size))
        return entry, EntryData(self._source, size, ((0, size),) if size else (), size)

    def _count(self, size: int) -> None:
        """Count the bytes of a file. Raises LayerError when they are too many."""
        self._total += size
        if self._total > self._limits.total:
            raise LayerError(f"files of more than {self._limits.total} bytes", hint="a bomb of sparse files?")

    def _sparse_map(self, header: RawHeader, block: bytes, records: dict[bytes, bytes], local: Records) -> SparseMap:
        """Return where the data of a file belongs; an ordinary file has one piece."""
        stored = decimal(records[b"size"], "size") if b"size" in records else header.size
        if header.flag == b"S":
            return read_gnu(self._source, block, stored, self._limits.segments)
        if any(key.startswith(b"GNU.sparse.") for key in records):
            found = read_pax(self._source, local, stored, self._limits.segments)
            if found:
                return found
        return SparseMap(stored, stored, ((0, stored),))


def _kind(header: RawHeader) -> EntryKind:
    kind = _KINDS.get(header.flag)
    if kind is None:
        raise LayerError(f"{_show(header.name)}: unknown type of entry {shown(header.flag)}")
    # Before ustar a slash at the end was the only sign of a directory.
    return EntryKind.DIRECTORY if header.flag == b"\0" and header.name.endswith(b"/") else kind


def _entry(header: RawHeader, kind: EntryKind, records: dict[bytes, bytes], names: tuple[str, str, int]) -> Entry:
    path, linkname, size = names
    if not records:
        # By position, which takes half the time.
        devices = header.dev_major, header.dev_minor
        return Entry(path, kind, header.mode, header.uid, header.gid, size, header.mtime, linkname, *devices)
    xattrs = tuple(
        (os.fsdecode(key.removeprefix(_XATTR)), value) for key, value in records.items() if key.startswith(_XATTR)
    )
    return Entry(
        path=path,
        kind=kind,
        mode=header.mode,
        uid=pax_id(records[b"uid"], "user id") if b"uid" in records else header.uid,
        gid=pax_id(records[b"gid"], "group id") if b"gid" in records else header.gid,
        size=size,
        mtime=pax_time(records[b"mtime"]) if b"mtime" in records else header.mtime,
        linkname=linkname,
        dev_major=header.dev_major,
        dev_minor=header.dev_minor,
        xattrs=xattrs,
        nanoseconds=pax_nanoseconds(records[b"mtime"]) if b"mtime" in records else 0,
    )


def _path(name: bytes) -> str:
    if len(name.rstrip(b"/")) > MAX_PATH or b"\0" in name:
        raise LayerError(f"invalid name: {_show(name)}")
    path = clean_path(os.fsdecode(name))
    if len(name) > MAX_NAME and has_long_name(name):
        raise LayerError(f"name too long: {_show(name)}")
    return path


def _link(name: bytes, kind: EntryKind) -> str:
    if kind is EntryKind.HARDLINK:
        return _path(name)
    if kind is not EntryKind.SYMLINK:
        return ""
    if not name or len(name) > MAX_PATH or b"\0" in name:
        raise LayerError(f"invalid target of a symbolic link: {_show(name)}")
    return os.fsdecode(name)


def _show(name: bytes) -> str:
    return repr(os.fsdecode(name[:100]))
