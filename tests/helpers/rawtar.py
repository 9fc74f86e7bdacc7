"""Tar archives byte by byte, for what no honest program writes. Knows nothing of our own tar code, nor of tarfile."""

import struct
from pathlib import Path

END = bytes(1024)

_HEADER = struct.Struct("100s8s8s8s12s12s8s1s100s8s32s32s8s8s155s12s")


def header(
    name: bytes | str,
    flag: bytes = b"0",
    *,
    size: int | bytes = 0,
    link: bytes | str = b"",
    mode: int | bytes = 0o644,
    uid: int | bytes = 0,
    gid: int | bytes = 0,
    mtime: int | bytes = 0,
    device: tuple[int, int] = (0, 0),
    magic: bytes = b"ustar\x0000",
    prefix: bytes = b"",
    checksum: bytes | None = None,
    tail: bytes = b"",
) -> bytes:
    """One block. Numbers given as bytes are written as they stand; *tail* replaces the last bytes (old GNU maps)."""
    block = _HEADER.pack(
        raw(name),
        octal(mode, 8),
        octal(uid, 8),
        octal(gid, 8),
        octal(size, 12),
        octal(mtime, 12),
        b" " * 8,
        flag,
        raw(link),
        magic,
        b"",
        b"",
        octal(device[0], 8),
        octal(device[1], 8),
        prefix,
        b"",
    )
    if tail:
        block = block[: 512 - len(tail)] + tail
    total = b"%06o\0 " % sum(block) if checksum is None else checksum
    return block[:148] + total + block[156:]


def raw(name: bytes | str) -> bytes:
    return name.encode() if isinstance(name, str) else name


def octal(value: int | bytes, width: int) -> bytes:
    return value if isinstance(value, bytes) else b"%0*o\0" % (width - 1, value)


def base256(value: int, width: int) -> bytes:
    """GNU's form of numbers that are negative or too large."""
    number = value & ((1 << (8 * width)) - 1)
    return bytes([(number >> (8 * (width - 1))) | 0x80]) + number.to_bytes(width, "big")[1:]


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def file(name: bytes | str, data: bytes = b"", **fields: object) -> bytes:
    return header(name, size=len(data), **fields) + padded(data)  # type: ignore[arg-type]


def directory(name: bytes | str, mode: int = 0o755, **fields: object) -> bytes:
    return header(name, b"5", mode=mode, **fields)  # type: ignore[arg-type]


def symlink(name: bytes | str, target: bytes | str, mode: int = 0o777, **fields: object) -> bytes:
    return long_link(target) + header(name, b"2", link=target, mode=mode, **fields)  # type: ignore[arg-type]


def hardlink(name: bytes | str, target: bytes | str, **fields: object) -> bytes:
    return long_link(target) + header(name, b"1", link=target, **fields)  # type: ignore[arg-type]


def record(key: bytes | str, value: bytes | str) -> bytes:
    """One PAX record; its length counts its own digits."""
    body = b" " + raw(key) + b"=" + raw(value) + b"\n"
    length = len(body) + 1
    while len(str(length)) + len(body) != length:
        length += 1
    return str(length).encode() + body


def pax(*records: tuple[bytes | str, bytes | str], flag: bytes = b"x") -> bytes:
    """A PAX header for the entry that follows (flag ``x``) or for all of them (``g``)."""
    content = b"".join(record(key, value) for key, value in records)
    return header("PaxHeaders/x", flag, size=len(content)) + padded(content)


def gnu_long(name: bytes | str, flag: bytes = b"L") -> bytes:
    data = raw(name) + b"\0"
    return header("././@LongLink", flag, size=len(data), magic=b"ustar  \0") + padded(data)


def long_link(target: bytes | str) -> bytes:
    return gnu_long(target, b"K") if len(raw(target)) > 100 else b""


def archive(*parts: bytes) -> bytes:
    return b"".join(parts) + END


def canary(directory: Path) -> Path:
    """A file outside the root of a test, to be compared with `watched` afterwards."""
    path = directory / "canary"
    path.write_bytes(b"untouched")
    path.chmod(0o640)
    return path


def watched(directory: Path) -> list[tuple[object, ...]]:
    """All that may not change in *directory* and below it."""
    found: list[tuple[object, ...]] = []
    for path in [directory, *sorted(directory.rglob("*"))]:
        status = path.lstat()
        data = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        found.append((path, status.st_mode, status.st_ino, status.st_uid, status.st_nlink, status.st_mtime_ns, data))
    return found


def old_gnu(pairs: list[tuple[int, int]], size: int, *, more: bool = False) -> bytes:
    """Return the end of a header of GNU's old format: a sparse map of up to four *pairs*, and the real size."""
    area = b"".join(b"%011o\0%011o\0" % pair for pair in pairs[:4]).ljust(96, b"\0")
    return area + bytes([more]) + b"%011o\0" % size + bytes(17)
