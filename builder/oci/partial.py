"""Partial blobs: interrupted downloads, which are resumed later.

    <root>/tmp/blob-part-<algorithm>-<hex>   the bytes so far; the writer holds the lock

The name has the digest of the complete blob, so a later download, also of another process, resumes where the first one
ended. The bytes are trusted only after the digest of the whole was verified. `BlobStore.sweep` removes such files like
any other that nobody holds.
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
    """Return a writer that resumes where an earlier one for *digest* ended, at its ``size``.

    After an exception it keeps its bytes; `BlobWriter.discard` removes them. While another process writes the same
    blob, this is an ordinary writer that starts from the beginning.
    """
    directory = blobs.root / "tmp"
    path = directory / f"blob-part-{digest.algorithm}-{digest.hex}"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(path, _FLAGS, 0o644)
    if not _lock(fd, path):
        os.close(fd)
        return blobs.writer(digest.algorithm)
    os.fchmod(fd, 0o644)  # the mode of all blobs
    writer = BlobWriter(blobs.root, digest.algorithm, resume=(path, fd), claim=blobs.claim)
    with os.fdopen(os.dup(fd), "rb") as written:
        while piece := written.read(PIECE):
            writer.recall(piece)
    return writer


def _lock(fd: int, path: Path) -> bool:
    """Lock the file; False when another process holds it, or has just committed or removed it."""
    with suppress(OSError):  # EWOULDBLOCK from flock, ENOENT from stat
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(fd), os.stat(path, follow_symlinks=False))
    return False
