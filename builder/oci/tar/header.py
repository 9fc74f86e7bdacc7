r"""Writing tar headers: ustar (POSIX.1-1988), and a PAX header (POSIX.1-2001) in front only where needed.

One header is 512 bytes:

    name 100 | mode 8 | uid 8 | gid 8 | size 12 | mtime 12 | checksum 8 | type 1 | linkname 100
    "ustar\0" 6 | "00" 2 | uname 32 | gname 32 | major 8 | minor 8 | prefix 155 | padding 12

The same entry always gives the same bytes: no user names, no fraction of a second, PAX records in byte order.
"""

from zlib import adler32

from pybuild.builder.oci.tar.entry import BLOCK, Entry, EntryKind, path_bytes

_NAME, _PREFIX = 100, 155
"""The lengths of the two fields for a path."""
# What the octal fields of ustar hold: seven digits, and eleven; a PAX record says what is larger.
_MAX_ID = 0o7777777
_MAX_SIZE = 0o77777777777
_DEVICES = frozenset({EntryKind.CHAR, EntryKind.BLOCK})
_NO_LINK = b"\0" * 100
_MAGIC = b"ustar\x0000" + b"\0" * 64
_NO_DEVICE = b"0000000\x000000000\0"
_NO_PREFIX = b"\0" * 167
# What follows the type flag of nearly every entry: no link, no device, no prefix.
_PLAIN_TAIL = _NO_LINK + _MAGIC + _NO_DEVICE + _NO_PREFIX
# The checksum counts its own 8 bytes as spaces.
_PLAIN_SUM = sum(_PLAIN_TAIL) + 8 * ord(" ")
# Each type flag with its share of the checksum: `value` of an enumeration is slow.
_FLAGS = {kind: (kind.value, ord(kind.value)) for kind in EntryKind}

Records = dict[bytes, bytes]


def encode_header(entry: Entry) -> bytes:
    """Return the blocks that come before the data of *entry*: one header, with a PAX header before it if needed."""
    name = path_bytes(entry.path)
    if entry.kind is EntryKind.DIRECTORY:
        name = name + b"/" if name else b"./"
    # The fast way, for all but the odd entry of a layer: everything fits and stands at its usual place.
    if (
        len(name) <= _NAME
        and name.isascii()
        and not entry.linkname
        and not entry.xattrs
        and 0 <= entry.mtime <= _MAX_SIZE
        and entry.size <= _MAX_SIZE
        and entry.uid <= _MAX_ID
        and entry.gid <= _MAX_ID
        and entry.kind not in _DEVICES
    ):
        fields = b"%07o\0%07o\0%07o\0%011o\0%011o\0" % (entry.mode, entry.uid, entry.gid, entry.size, entry.mtime)
        flag, weight = _FLAGS[entry.kind]
        # The sum of so few bytes is the lower half of their Adler-32, which takes a tenth of the time of sum().
        total = (adler32(name + fields, 0) & 0xFFFF) + weight + _PLAIN_SUM
        return b"".join((name.ljust(_NAME, b"\0"), fields, b"%06o\0 " % total, flag, _PLAIN_TAIL))
    return _encode_fully(entry, name)


def _encode_fully(entry: Entry, name: bytes) -> bytes:
    records: Records = {b"SCHILY.xattr." + path_bytes(key): value for key, value in entry.xattrs}
    prefix, short = _split_name(name, records)
    link = path_bytes(entry.linkname)
    if len(link) > _NAME or not link.isascii():
        records[b"linkpath"] = link
        link = _ascii(link, _NAME)
    numbers = tuple(
        _number(value, limit, key, records)
        for key, value, limit in (
            (b"uid", entry.uid, _MAX_ID),
            (b"gid", entry.gid, _MAX_ID),
            (b"size", entry.size, _MAX_SIZE),
            (b"mtime", entry.mtime, _MAX_SIZE),
        )
    )
    device = b"%07o\0%07o\0" % (entry.dev_major, entry.dev_minor) if entry.kind in _DEVICES else _NO_DEVICE
    tail = entry.kind.value + link.ljust(_NAME, b"\0") + _MAGIC + device + prefix.ljust(len(_NO_PREFIX), b"\0")
    header = _assemble(short, (entry.mode, *numbers), tail)
    return _encode_records(short, records) + header if records else header


def _assemble(name: bytes, numbers: tuple[int, ...], tail: bytes) -> bytes:
    head = name.ljust(_NAME, b"\0") + b"%07o\0%07o\0%07o\0%011o\0%011o\0" % numbers
    return head + b"%06o\0 " % (sum(head) + sum(tail) + 8 * ord(" ")) + tail


def _split_name(name: bytes, records: Records) -> tuple[bytes, bytes]:
    """Return (prefix, name) for the two fields; a name that fits neither way goes to the PAX *records*."""
    if not name.isascii():
        records[b"path"] = name
        return b"", _ascii(name, _NAME)
    if len(name) <= _NAME:
        return b"", name
    slash = name.find(b"/", len(name) - _NAME - 1, len(name) - 1)
    if 0 < slash <= _PREFIX:
        return name[:slash], name[slash + 1 :]
    records[b"path"] = name
    return b"", name[:_NAME]


def _number(value: int, limit: int, key: bytes, records: Records) -> int:
    """Return what to write in the field; a number that does not fit there goes to the PAX *records*."""
    if 0 <= value <= limit:
        return value
    records[key] = b"%d" % value
    return 0


def _ascii(name: bytes, limit: int) -> bytes:
    """Return a stand-in for readers that know no PAX."""
    return bytes(byte if byte < 0x80 else ord("_") for byte in name[:limit])


def _encode_records(name: bytes, records: Records) -> bytes:
    content = b"".join(_encode_record(key, records[key]) for key in sorted(records))
    base = b"PaxHeaders.0/" + name.rstrip(b"/").rpartition(b"/")[2]
    header = _assemble(base[:_NAME], (0o644, 0, 0, len(content), 0), b"x" + _PLAIN_TAIL)
    return header + content + padding(len(content))


def _encode_record(key: bytes, value: bytes) -> bytes:
    """Return ``length key=value newline``; the length counts itself."""
    size = len(key) + len(value) + 3
    length = size + len(b"%d" % size)
    length = size + len(b"%d" % length)
    return b"%d %s=%s\n" % (length, key, value)


_ZEROS = bytes(BLOCK)


def padding(size: int) -> bytes:
    """Return the zeros that fill the last block of *size* bytes of data."""
    return _ZEROS[: -size % BLOCK]
