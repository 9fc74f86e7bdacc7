"""The blob store: content under its digest, in the directories of an OCI image layout.

    <root>/blobs/<algorithm>/<hex>   complete, verified, flushed; never changed again
    <root>/tmp/blob-<random>         being written; its writer holds a lock on it for as long as it lives

Guarantees for any number of processes at once, and after ``kill -9`` or a power failure at any point:

- A name below ``blobs/`` appears only when its content is complete, has this digest and is on the disk.
- Storing the same content twice is free, not an error, and repairs a copy that was damaged on the disk.
- A file below ``tmp/`` whose lock is free was left by a crash; `BlobStore.sweep` removes these and no others.
"""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import BlobNotFound, InvalidDigest, SizeMismatch
from pybuild.builder.oci.json_documents import DOCUMENT_LIMIT
from pybuild.builder.oci.model import Descriptor
from pybuild.runtime.paths import filelock

if TYPE_CHECKING:
    from pybuild.builder.oci.blob_writer import BlobWriter

_TEMP_PREFIX = "blob-"
_RETIRED_PREFIX = "blob-gone-"
_PARTS_PREFIX = "blob-part-"
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # a layout from elsewhere may have a FIFO there


class BlobStore:
    """The blobs below *root*. The directories are created by the first write."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.claim: Callable[[str], None] = claim_nothing
        """Called with the digest of each blob before it is looked up, so that it is not removed meanwhile."""

    def path(self, digest: Digest) -> Path:
        """Return where the blob is, or would be."""
        return self.root / "blobs" / digest.algorithm / digest.hex

    def exists(self, digest: Digest) -> bool:
        """Return whether the blob exists (at some moment)."""
        return self._size(digest) is not None

    def has(self, descriptor: Descriptor) -> bool:
        """Return whether the blob exists with the right size; a copy that a broken disk truncated does not count."""
        return self._size(descriptor.digest) == descriptor.size

    def _size(self, digest: Digest) -> int | None:
        self.claim(str(digest))
        try:
            found = os.lstat(self.path(digest))
        except FileNotFoundError:
            return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def open(self, blob: Descriptor | Digest) -> BinaryIO:
        """Open a blob for reading; the content is not verified again.

        Raises:
            BlobNotFound: it does not exist, or is not a regular file.
            SizeMismatch: it does not have the size of the descriptor.
        """
        digest = blob.digest if isinstance(blob, Descriptor) else blob
        self.claim(str(digest))
        fd = _open_regular(self.path(digest), digest)
        size = os.fstat(fd).st_size
        if isinstance(blob, Descriptor) and size != blob.size:
            os.close(fd)
            raise SizeMismatch(f"{digest} has {size} bytes instead of {blob.size}")
        return os.fdopen(fd, "rb")

    def read(self, descriptor: Descriptor, limit: int = DOCUMENT_LIMIT) -> bytes:
        """Return the verified content of a small blob. Raises SizeMismatch when it is larger than *limit*."""
        if descriptor.size > limit:
            raise SizeMismatch(f"{descriptor.digest} has {descriptor.size} bytes, more than the {limit} permitted here")
        with self.open(descriptor) as file:
            content = file.read(descriptor.size + 1)
        if (len(content), Digest.of(content)) != (descriptor.size, descriptor.digest):
            # Wrong, or of another algorithm.
            from pybuild.builder.oci.streams.verified import Verifier

            verifier = Verifier(descriptor.digest, descriptor.size)
            verifier.update(content)
            verifier.finish()
        return content

    def put(self, content: bytes, media_type: str) -> Descriptor:
        """Store *content* and return the descriptor that names it."""
        descriptor = Descriptor(media_type=media_type, digest=Digest.of(content), size=len(content))
        if not self.has(descriptor):
            with self.writer() as writer:
                writer.write(content)
                writer.commit(descriptor.digest)
        return descriptor

    def put_stream(self, stream: BinaryIO, expected: Descriptor | None, media_type: str) -> Descriptor:
        """Store the content of *stream* up to its end.

        Raises:
            DigestMismatch, SizeMismatch: it is not the *expected* content; nothing was stored.
        """
        from pybuild.builder.oci.streams.verified import pieces

        algorithm = expected.digest.algorithm if expected else "sha256"
        with self.writer(algorithm) as writer:
            for piece in pieces(stream):
                writer.write(piece)
                if expected and writer.size > expected.size:
                    raise SizeMismatch(f"{expected.digest} is longer than the {expected.size} bytes it should have")
            if expected and writer.size != expected.size:
                raise SizeMismatch(f"{expected.digest} has {writer.size} bytes instead of {expected.size}")
            digest, size = writer.commit(expected.digest if expected else None)
        return Descriptor(media_type=media_type, digest=digest, size=size)

    def writer(self, algorithm: str = "sha256") -> "BlobWriter":
        """Start a new blob."""
        # Imported here: a build in which nothing changed writes no blob.
        from pybuild.builder.oci.blob_writer import BlobWriter

        return BlobWriter(self.root, algorithm, _new_file(self.root / "tmp"), self.claim)

    def remove(self, digest: Digest) -> None:
        """Remove a blob. Idempotent; readers that have it open can continue."""
        with suppress(FileNotFoundError):
            self.path(digest).unlink()

    def retire(self, digest: Digest) -> int:
        """Hide a blob by a rename and return its size; `bury` removes it. Idempotent."""
        aside = self.root / "tmp" / f"{_RETIRED_PREFIX}{os.urandom(8).hex()}"
        try:
            self.path(digest).rename(aside)
        except FileNotFoundError:
            return 0
        return aside.stat().st_size

    def bury(self) -> None:
        """Remove retired blobs."""
        filelock.sweep(self.root / "tmp", _RETIRED_PREFIX)

    def digests(self) -> Iterator[Digest]:
        """Yield the digests of all blobs, in no order; other files are skipped."""
        with suppress(FileNotFoundError):
            for directory in sorted(os.listdir(self.root / "blobs")):
                for name in os.listdir(self.root / "blobs" / directory):
                    with suppress(InvalidDigest):
                        yield Digest.parse(f"{directory}:{name}")

    def sweep(self, *, parts: bool = True) -> int:
        """Remove files of crashed writers and return their number.

        Without *parts* interrupted downloads stay; the next download of the same blob resumes them.
        """
        directory = self.root / "tmp"
        spared = "" if parts else _PARTS_PREFIX
        return len(filelock.sweep(directory, _TEMP_PREFIX, spared)) if directory.is_dir() else 0


def claim_nothing(_digest: str) -> None:
    """Claim nothing."""


def _open_regular(path: Path, digest: Digest) -> int:
    try:
        fd = os.open(path, _READ)
    except FileNotFoundError:
        raise BlobNotFound(f"blob {digest} is not in the store") from None
    except OSError as error:  # ELOOP, ENXIO: a symlink or a special file that someone planted in a layout
        raise BlobNotFound(f"blob {digest} cannot be opened: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise BlobNotFound(f"blob {digest} is not a regular file")
    return fd


def _new_file(directory: Path) -> tuple[Path, int]:
    """Create a file that this process holds locked, so that a sweep leaves it alone."""
    try:
        path, fd = filelock.make_locked_file(directory, _TEMP_PREFIX)
    except FileNotFoundError:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path, fd = filelock.make_locked_file(directory, _TEMP_PREFIX)
    os.fchmod(fd, 0o644)  # the directory of the store keeps other users out; an exported layout is for everyone
    return path, fd
