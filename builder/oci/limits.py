"""The resources that a layer may use before it is refused (decompression bombs, header bombs)."""

from pybuild.runtime.values import frozen

MAX_NAME = 255
"""Bytes of each name in a path: NAME_MAX."""
MAX_XATTR_NAME, MAX_XATTR = 255, 64 << 10
"""Bytes of the name and of the value of an extended attribute (xattr(7))."""


@frozen
class Limits:
    """Sizes in bytes. The defaults permit every honest image."""

    total: int = 64 << 30
    """Size of the uncompressed archive. The claimed sizes of sparse files together have the same limit."""
    ratio: int = 2000
    """Uncompressed to compressed, checked after *ratio_after* bytes: gzip cannot exceed 1032, zstd can."""
    ratio_after: int = 4 << 30
    members: int = 1_000_000
    """Gzip members or zstd frames of one stream."""
    entries: int = 10_000_000
    directories: int = 1_000_000
    """Directories and whiteouts of one layer: many are kept in memory until its end."""
    header: int = 1 << 20
    """One PAX header, one GNU long name, all PAX global records together."""
    segments: int = 100_000
    """Pieces of one sparse file."""
    reserve: int = 16 << 20
    """Bytes that must stay free on the file system that a layer is unpacked to."""


DEFAULT_LIMITS = Limits()


def has_long_name(path: bytes) -> bool:
    """Return whether a name in *path* is too long for a file system; a whiteout counts as the name that it hides."""
    return any(len(name.removeprefix(b".wh.")) > MAX_NAME for name in path.split(b"/"))
