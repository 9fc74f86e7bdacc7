"""Reading the fields of tar headers: numbers and names of one block, records of a PAX header. Trusts nothing."""

import os
import re
from functools import lru_cache
from typing import NamedTuple
from zlib import adler32

from pybuild.builder.oci.errors import LayerError
from pybuild.builder.oci.tar.entry import BLOCK
from pybuild.runtime.rootfs.identity import MAX_ID

ZERO_BLOCK = bytes(BLOCK)

_MAX_SIZE = (1 << 63) - 1
_MAX_MAJOR, _MAX_MINOR = (1 << 12) - 1, (1 << 20) - 1
"""The kernel has 12 bits for the major and 20 for the minor number."""
_MAX_TIME = 1 << 40
"""Every file system and system call accepts it; the year is about 36,800."""
_DECIMAL = re.compile(rb"[0-9]{1,19}\Z")
_TIME = re.compile(rb"(-?[0-9]{1,19})(?:\.([0-9]*))?\Z")

# Of the fields of one layer most are the same in all headers.
_REMEMBERED = 1024
_REMEMBERED_TAILS = 64

Records = list[tuple[bytes, bytes]]


class RawHeader(NamedTuple):
    """One header block, split into its fields, before any extension is applied."""

    flag: bytes
    name: bytes
    link: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    dev_major: int
    dev_minor: int


def parse_header(block: bytes) -> RawHeader:
    """Parse a header block in the v7, ustar or GNU format. Raises LayerError when it or a field of it is malformed."""
    tail = block[156:]
    _verify_checksum(block, tail)
    flag, link, prefix, devices = _parsed_tail(tail)
    name = text(block[:100])
    # By position, which takes half the time.
    return RawHeader(
        flag,
        prefix + b"/" + name if prefix else name,
        link,
        number(block[100:108], "mode", _MAX_SIZE) & 0o7777,
        number(block[108:116], "user id", MAX_ID),
        number(block[116:124], "group id", MAX_ID),
        number(block[124:136], "size", _MAX_SIZE),
        clamp_time(_parse_signed(block[136:148], "time")),
        *devices,
    )


@lru_cache(_REMEMBERED_TAILS)
def _parsed_tail(tail: bytes) -> tuple[bytes, bytes, bytes, tuple[int, int]]:
    """Return flag, link, prefix and device numbers: what a header has behind its checksum."""
    magic = tail[101:107]
    devices = 0, 0
    if magic in {b"ustar\0", b"ustar "}:
        devices = number(tail[173:181], "device number", _MAX_MAJOR), number(tail[181:189], "device number", _MAX_MINOR)
    # GNU's own format (a space in the magic) keeps times where ustar has the prefix.
    return tail[:1], text(tail[1:101]), text(tail[189:344]) if magic == b"ustar\0" else b"", devices


def _verify_checksum(block: bytes, tail: bytes) -> None:
    total = _sum(block[:148]) + _sum_of_tail(tail)
    if block[148:156] == b"%06o\0 " % total:  # as nearly all programs write it
        return
    try:
        claimed = number(block[148:156], "checksum", _MAX_SIZE)
    except LayerError as error:
        raise LayerError("this is not a tar archive, or it is damaged") from error
    if claimed == total:
        return
    # Some old programs added signed characters.
    if claimed != total - 256 * sum(byte > 0x7F for byte in block[:148] + tail):
        raise LayerError("this is not a tar archive, or it is damaged: the checksum of a header is wrong")


@lru_cache(_REMEMBERED_TAILS)
def _sum_of_tail(tail: bytes) -> int:
    """Return the sum of the bytes from the checksum on, which itself counts as spaces."""
    return _sum(tail[:100]) + _sum(tail[100:]) + 8 * ord(" ")


def _sum(part: bytes) -> int:
    """Return the sum of at most 256 bytes."""
    # The lower half of Adler-32, begun with 0, is the sum of the bytes modulo 65521, which 256 bytes cannot reach. It
    # takes a tenth of the time of sum().
    return adler32(part, 0) & 0xFFFF


@lru_cache(_REMEMBERED)
def number(field: bytes, name: str, limit: int) -> int:
    """Return the number in *field*, 0 for an empty one; from 0 to *limit*."""
    value = _parse_signed(field, name)
    if not 0 <= value <= limit:
        raise LayerError(f"invalid {name}: {value}")
    return value


@lru_cache(_REMEMBERED)
def _parse_signed(field: bytes, what: str) -> int:
    """Parse octal digits, or GNU's base 256: the top bit is set, the others are a number in two's complement."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big") & ((1 << (8 * len(field) - 1)) - 1)
        return value - (1 << (8 * len(field) - 1)) if field[0] & 0x40 else value
    digits = field.strip(b" \0")
    if not digits:
        return 0
    try:
        if digits.isdigit():
            return int(digits, 8)
    except ValueError:
        pass
    raise LayerError(f"invalid {what}: {shown(field)}")


def shown(field: bytes) -> str:
    """Return the beginning of a field for a message."""
    return repr(os.fsdecode(field[:40]))


def text(field: bytes) -> bytes:
    """Return *field* up to its first zero byte."""
    return field.partition(b"\0")[0]


def clamp_time(seconds: int) -> int:
    """Return a time that every system call accepts."""
    return max(-_MAX_TIME, min(seconds, _MAX_TIME))


def decimal(value: bytes, name: str, limit: int = _MAX_SIZE) -> int:
    """Return the number of a PAX record."""
    if not _DECIMAL.match(value) or int(value) > limit:
        raise LayerError(f"invalid {name}: {shown(value)}")
    return int(value)


def pax_id(value: bytes, name: str) -> int:
    """Return the user or group id of a PAX record."""
    return decimal(value, name, MAX_ID)


def pax_time(value: bytes) -> int:
    """Return the whole seconds of a PAX time, rounded down."""
    match = _TIME.match(value)
    if not match:
        raise LayerError(f"invalid time: {shown(value)}")
    seconds = int(match[1])
    before = value.startswith(b"-") and (match[2] or b"").strip(b"0")
    return clamp_time(seconds - 1 if before else seconds)


def pax_nanoseconds(value: bytes) -> int:
    """Return the nanoseconds that a PAX time has beside the seconds of `pax_time`; further digits are ignored."""
    match = _TIME.match(value)
    rest = int(((match[2] if match else None) or b"")[:9].ljust(9, b"0"))
    return -rest % 1_000_000_000 if value.startswith(b"-") else rest


def parse_records(content: bytes) -> Records:
    """Return the records ``length key=value newline`` of a PAX header, in order."""
    records: Records = []
    at = 0
    while at < len(content):
        space = content.find(b" ", at, at + 20)
        if space < 0 or not _DECIMAL.match(content[at:space]):
            raise LayerError("malformed PAX header")
        end = at + int(content[at:space])
        key, equals, value = content[space + 1 : end - 1].partition(b"=")
        if end > len(content) or content[end - 1 : end] != b"\n" or not key or not equals or b"\0" in key:
            raise LayerError("malformed PAX header")
        records.append((key, value))
        at = end
    return records
