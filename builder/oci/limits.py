"""How much a layer may ask of the machine before it is refused (decompression bombs, header bombs)."""

from builder.oci.errors import LayerError
from builder.oci.tar_entry import Entry, path_bytes
from runtime.values import frozen

MAX_PATH, MAX_NAME = 4095, 255
"""Bytes of a path, as the kernel takes it, and of each name in it."""
MAX_XATTR_NAME, MAX_XATTR = 255, 64 << 10
"""Bytes of the name and of the value of an extended attribute (xattr(7))."""


@frozen
class Limits:
    """Sizes in bytes. The defaults let every honest image pass."""

    total: int = 64 << 30
    """Uncompressed archive; the sizes that sparse files claim are added up against it too."""
    ratio: int = 2000
    """Uncompressed to compressed, asked once *ratio_after* bytes have come: gzip cannot pass 1032, zstd can."""
    ratio_after: int = 4 << 30
    members: int = 1_000_000
    """Gzip members or zstd frames of one stream."""
    entries: int = 10_000_000
    folders: int = 1_000_000
    """Folders and whiteouts of one layer: these are kept in memory until its end."""
    header: int = 1 << 20
    """One PAX header, one GNU long name, all PAX global records together."""
    segments: int = 100_000
    """Pieces of one sparse file."""
    reserve: int = 16 << 20
    """What must stay free on the file system that a layer is unpacked to."""


DEFAULT_LIMITS = Limits()


def has_long_name(path: bytes) -> bool:
    """Tell whether a name in *path* is longer than a file system takes; a whiteout is as long as what it hides."""
    return any(len(name.removeprefix(b".wh.")) > MAX_NAME for name in path.split(b"/"))


def check_writable(entry: Entry) -> None:
    """Raise LayerError when a layer with *entry* could not be read again, here or by others."""
    for path in (entry.path, entry.linkname):
        raw = path_bytes(path)
        if len(raw) > MAX_PATH:
            raise LayerError(f"{path[:60]!r}...: a path of {len(raw)} bytes; a layer holds at most {MAX_PATH}")
        if len(raw) > MAX_NAME and path is entry.path and has_long_name(raw):
            raise LayerError(f"{path[:60]!r}...: it has a name of more than {MAX_NAME} bytes, which no layer holds")
    total = 0
    for name, value in entry.xattrs:
        total += len(name) + len(value)
        if len(path_bytes(name)) > MAX_XATTR_NAME or len(value) > MAX_XATTR or total > DEFAULT_LIMITS.header // 2:
            raise LayerError(f"{entry.path!r}: the extended attribute {name[:60]!r} of {len(value)} bytes is too large")
