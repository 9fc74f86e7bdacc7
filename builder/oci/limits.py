"""How much a layer may ask of the machine before it is refused (decompression bombs, header bombs)."""

from runtime.values import frozen


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
