"""The maps of sparse files, which say where their data belongs: GNU's own header, and PAX versions 0.0, 0.1 and 1.0."""

from pybuild.builder.oci.errors import LayerError
from pybuild.builder.oci.streams.reading import BufferedSource
from pybuild.builder.oci.tar.entry import BLOCK
from pybuild.builder.oci.tar.fields import Records, decimal, number
from pybuild.runtime.values import positional

Segments = tuple[tuple[int, int], ...]
"""(offset, length) of each piece of data in the file, in ascending order."""

_MAX = (1 << 63) - 1


@positional
class SparseMap:
    """Where data belongs. *size* is that of the file with its holes, *stored* that of the data behind the map."""

    size: int
    stored: int
    segments: Segments


def checked(size: int, stored: int, segments: Segments) -> SparseMap:
    """Return the map. Raises LayerError unless the segments are in order, in the file, and as long as the data."""
    end = 0
    for offset, length in segments:
        if offset < end or offset + length > size:
            raise LayerError("a sparse file has overlapping pieces, or pieces behind its end")
        end = offset + length
    if sum(length for _, length in segments) != stored:
        raise LayerError("the pieces of a sparse file are not as long as its data")
    return SparseMap(size, stored, segments)


def read_gnu(source: BufferedSource, header: bytes, stored: int, limit: int) -> SparseMap:
    """Read the map of an old GNU sparse *header* and the blocks that continue it."""
    # Four pairs, then whether blocks follow, then the size of the file (GNU tar manual, "struct oldgnu_header").
    segments = _gnu_segments(header[386:482])
    more = header[482]
    while more:
        block = source.take(BLOCK)
        if len(block) < BLOCK:
            raise LayerError("the archive ends in the middle of a sparse map")
        # 21 pairs, then whether another block follows ("struct sparse_header").
        segments += _gnu_segments(block[:504])
        _check_count(len(segments), limit)
        more = block[504]
    return checked(number(header[483:495], "size", _MAX), stored, tuple(segments))


def _gnu_segments(area: bytes) -> list[tuple[int, int]]:
    segments = []
    for at in range(0, len(area), 24):
        if not area[at]:
            break
        offset, length = area[at : at + 12], area[at + 12 : at + 24]
        segments.append((number(offset, "sparse offset", _MAX), number(length, "sparse length", _MAX)))
    return segments


def read_pax(source: BufferedSource, records: Records, stored: int, limit: int) -> SparseMap | None:
    """Return the map that PAX *records* describe, None when they describe none."""
    known = dict(records)
    if known.get(b"GNU.sparse.major") == b"1" and known.get(b"GNU.sparse.minor") == b"0":
        size = decimal(known.get(b"GNU.sparse.realsize", b""), "size of a sparse file")
        numbers, used = _read_leading_map(source, stored, limit)
        return checked(size, stored - used, _pairs(numbers))
    if b"GNU.sparse.map" in known:
        numbers = known[b"GNU.sparse.map"].split(b",") if known[b"GNU.sparse.map"] else []
    elif b"GNU.sparse.numblocks" in known:
        numbers = [value for key, value in records if key in {b"GNU.sparse.offset", b"GNU.sparse.numbytes"}]
    else:
        return None
    _check_count(len(numbers) // 2, limit)
    size = decimal(known.get(b"GNU.sparse.size", b""), "size of a sparse file")
    return checked(size, stored, _pairs(numbers))


def _pairs(numbers: list[bytes]) -> Segments:
    if len(numbers) % 2:
        raise LayerError("malformed sparse map")
    values = [decimal(value, "sparse map") for value in numbers]
    return tuple(zip(values[::2], values[1::2], strict=True))


def _read_leading_map(source: BufferedSource, stored: int, limit: int) -> tuple[list[bytes], int]:
    """Read the map that version 1.0 puts before the data: a count, then the numbers, a line each, in whole blocks."""
    lines: list[bytes] = []
    rest = b""
    used = 0
    while not lines or len(lines) < 1 + 2 * decimal(lines[0], "sparse map"):
        block = source.take(BLOCK)
        used += BLOCK
        if len(block) < BLOCK or used > stored:
            raise LayerError("malformed sparse map")
        *whole, rest = (rest + block).split(b"\n")
        lines += whole
        _check_count(len(lines) // 2, limit)
        if len(rest) > BLOCK:
            raise LayerError("malformed sparse map")
    return lines[1 : 1 + 2 * decimal(lines[0], "sparse map")], used


def _check_count(count: int, limit: int) -> None:
    if count > limit:
        raise LayerError(f"a sparse file in more than {limit} pieces")
