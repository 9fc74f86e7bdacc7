"""Partial blobs: interrupted downloads, which are resumed later.

    <root>/tmp/blob-part-<algorithm>-<hex>   the bytes so far; the writer holds the lock

The name has the digest of the complete blob, so a later download, also of another process, resumes where the first one
ended. The bytes are trusted only after the digest of the whole was verified. `BlobStore.sweep` removes such files like
any other that nobody holds.
"""

import fcntl
import io
import os
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from pybuild.builder.oci.blob_writer import BlobWriter
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import BlobNotFound
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.oci.streams.verified import PIECE
from pybuild.runtime.stopping import check

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_WAKE_UP = 0.25
"""Seconds after which a reader that waits for bytes looks whether its build was stopped."""
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


def resumed(blobs: BlobStore, digest: Digest) -> BlobWriter:
    """Return a writer that resumes where an earlier one for *digest* ended, at its ``size``.

    After an exception it keeps its bytes; `BlobWriter.discard` removes them. While another process writes the same
    blob, this is an ordinary writer that starts from the beginning.
    """
    path = _path(blobs, digest)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(path, _FLAGS, 0o644)
    if not _lock(fd, path):
        os.close(fd)
        return blobs.writer(digest.algorithm)
    os.fchmod(fd, 0o644)  # the mode of all blobs
    writer = BlobWriter(blobs.root, digest.algorithm, (path, fd), blobs.claim, is_partial=True)
    with os.fdopen(os.dup(fd), "rb") as written:
        while piece := written.read(PIECE):
            writer.recall(piece)
    return writer


def _path(blobs: BlobStore, digest: Digest) -> Path:
    return blobs.root / "tmp" / f"blob-part-{digest.algorithm}-{digest.hex}"


def _lock(fd: int, path: Path) -> bool:
    """Lock the file; False when another process holds it, or has just committed or removed it."""
    with suppress(OSError):  # EWOULDBLOCK from flock, ENOENT from stat
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(fd), os.stat(path, follow_symlinks=False))
    return False


class Arriving:
    """Blobs that are downloaded into *blobs*, and can be read meanwhile. Thread-safe.

    The download reports to `report`, which calls *progress* in turn, and calls `end` when it has ended or failed.
    """

    def __init__(self, blobs: BlobStore, progress: Callable[[str, int, int], None]) -> None:
        self._blobs, self._progress = blobs, progress
        self._changed = threading.Condition()
        self._done: dict[str, int] = {}
        self._restarts = Counter[str]()
        self._ended = False

    def report(self, digest: str, done: int, size: int) -> None:
        """Take the progress of a blob: *done* of *size* bytes are in its file. Less than before is a new beginning."""
        with self._changed:
            self._restarts[digest] += done < self._done.get(digest, 0)
            self._done[digest] = done
            self._changed.notify_all()
        self._progress(digest, done, size)

    def end(self) -> None:
        """Let readers wait no longer: blobs that are not in the store by now do not come."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """Return a reader of a blob, which waits for what has not arrived. Its content is not verified.

        Reading raises BlobNotFound when the download failed, or began anew after some of it was read.
        """
        if self._blobs.has(descriptor):
            return self._blobs.open(descriptor)
        return io.BufferedReader(_Reader(self, descriptor), PIECE)

    def restarts(self, descriptor: Descriptor) -> int:
        """Return how often the download of a blob began anew."""
        return self._restarts[str(descriptor.digest)]

    def wait(self, descriptor: Descriptor, at: int, restarts: int) -> int:
        """Wait until there are bytes after the first *at*, and return their number; 0 at the end of the blob."""
        digest = str(descriptor.digest)
        with self._changed:
            while at < descriptor.size:
                check()
                if self._restarts[digest] != restarts:
                    raise BlobNotFound(f"the download of {digest} began anew")
                if self._done.get(digest, 0) > at:
                    return self._done[digest] - at
                if self._ended:
                    return self._rest(descriptor) - at
                self._changed.wait(_WAKE_UP)
        return 0

    def _rest(self, descriptor: Descriptor) -> int:
        if not self._blobs.has(descriptor):
            raise BlobNotFound(f"the download of {descriptor.digest} has failed")
        return descriptor.size

    def open_file(self, descriptor: Descriptor) -> BinaryIO:
        """Open the file of a blob of which some bytes are there: a partial one, or the blob once it is complete."""
        try:
            return os.fdopen(os.open(_path(self._blobs, descriptor.digest), _READ), "rb", buffering=0)
        except FileNotFoundError:
            return self._blobs.open(descriptor)


class _Reader(io.RawIOBase):
    def __init__(self, arriving: Arriving, descriptor: Descriptor) -> None:
        self._arriving, self._descriptor = arriving, descriptor
        self._restarts = arriving.restarts(descriptor)
        self._at = 0
        self._file: BinaryIO | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # narrower than Buffer
        ready = self._arriving.wait(self._descriptor, self._at, self._restarts)
        if not ready:
            return 0
        if self._file is None:
            self._file = self._arriving.open_file(self._descriptor)
        count = os.preadv(self._file.fileno(), [memoryview(buffer)[:ready]], self._at)
        if not count:
            # The file of another process, or one that was emptied just now.
            raise BlobNotFound(f"the download of {self._descriptor.digest} began anew")
        self._at += count
        return count

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        super().close()
