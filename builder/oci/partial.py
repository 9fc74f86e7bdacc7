"""Blobs that may be left half written and are resumed later: downloads that were interrupted.

    <root>/tmp/blob-part-<algorithm>-<hex>   what has come so far; its writer holds the lock

The name is the digest that the whole is going to have, so whoever wants the same blob, in another process or another
day, resumes where the first one ended. Nothing in the file is trusted before the digest of the whole is right.
`BlobStore.sweep` drops such files like any other that nobody holds.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from pybuild.builder.oci.blobs import BlobStore, BlobWriter
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.streams.verified import PIECE

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


def resumed(blobs: BlobStore, digest: Digest) -> BlobWriter:
    """Return a writer that resumes where an earlier one for *digest* ended; its ``size`` tells where that is.

    Left by an exception it keeps what it has; `BlobWriter.discard` drops it. While somebody else writes the same blob,
    this is a writer of its own that begins at the beginning.
    """
    folder = blobs.root / "tmp"
    path = folder / f"blob-part-{digest.algorithm}-{digest.hex}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(path, _FLAGS, 0o644)
    if not _lock(fd, path):
        os.close(fd)
        return blobs.writer(digest.algorithm)
    os.fchmod(fd, 0o644)  # as of every blob
    writer = BlobWriter(blobs.root, digest.algorithm, resume=(path, fd), claim=blobs.claim)
    with os.fdopen(os.dup(fd), "rb") as written:
        while piece := written.read(PIECE):
            writer.recall(piece)
    return writer


def _lock(fd: int, path: Path) -> bool:
    """Lock the file; False when another process has it, or has just given it its name or removed it."""
    with suppress(OSError):
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(fd), os.stat(path, follow_symlinks=False))
    return False
