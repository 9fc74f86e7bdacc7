"""The blob store: content under its digest, in the directories of an OCI image layout.

    <root>/blobs/<algorithm>/<hex>   complete, verified, flushed; never changed again
    <root>/tmp/blob-<random>         being written; its writer holds a lock on it for as long as it lives

Guarantees for any number of processes at once, and after ``kill -9`` or a power failure at any point:

- A name below ``blobs/`` appears only when its content is complete, has this digest and is on the disk.
- Storing the same content twice is free, not an error, and repairs a copy that was damaged on the disk.
- A file below ``tmp/`` whose lock is free was left by a crash; `BlobStore.sweep` removes these and no others.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Self

from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import BlobNotFound, DigestMismatch, InvalidDigest, SizeMismatch
from pybuild.builder.oci.json_text import DOCUMENT_LIMIT
from pybuild.builder.oci.model import Descriptor
from pybuild.runtime.paths import filelock

_TEMP_PREFIX = "blob-"
_RETIRED_PREFIX = "blob-gone-"
_PARTS_PREFIX = "blob-part-"
_WRITE_BACK = 8 << 20  # between two requests: few system calls, and little left for the fsync at the end
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
        return BlobWriter(self.root, algorithm, claim=self.claim)

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


class BlobWriter:
    """A blob that is being written: a context manager. It is discarded at the end unless it was committed."""

    def __init__(
        self,
        root: Path,
        algorithm: str,
        resume: tuple[Path, int] | None = None,
        claim: "Callable[[str], None] | None" = None,
    ) -> None:
        self._root, self._algorithm, self._claim = root, algorithm, claim or claim_nothing
        self._hash = hashlib.new(algorithm)
        self._path, self._fd = resume or _new_file(root / "tmp")
        self._keep = resume is not None
        self.size = 0
        """Bytes written so far."""
        self._on_way = 0
        """Bytes whose writeback to the disk was started."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._keep and self.size and self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self.discard()

    def recall(self, piece: bytes) -> None:
        """Hash the existing content of the file, before anything is written (`builder.oci.partial_blobs`)."""
        self._hash.update(piece)
        self.size += len(piece)

    def rewind(self) -> None:
        """Discard everything written so far."""
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        self._hash = hashlib.new(self._algorithm)
        self.size = self._on_way = 0

    def write(self, piece: bytes | memoryview) -> None:
        """Append *piece*."""
        self._hash.update(piece)
        self.size += len(piece)
        rest = memoryview(piece)
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError as error:
            # The error of a full disk gets the path that could not be written.
            error.filename = os.fspath(self._path)
            raise
        if self.size - self._on_way >= _WRITE_BACK:
            self._write_back()

    def _write_back(self) -> None:
        """Start writeback of the new bytes; otherwise the fsync at the end has to write all of them.

        POSIX_FADV_DONTNEED does that on Linux. It would also drop the pages from the cache, but not dirty ones.
        """
        os.posix_fadvise(self._fd, self._on_way, self.size - self._on_way, os.POSIX_FADV_DONTNEED)
        self._on_way = self.size

    def reread(self) -> BinaryIO:
        """Open what was written so far for reading, from its beginning."""
        return self._path.open("rb")

    def commit(self, expected: Digest | None = None) -> tuple[Digest, int]:
        """Flush the blob, give it its name and return its digest and size.

        Raises:
            DigestMismatch: the content is not the *expected* one; nothing was stored.
        """
        digest = Digest(self._algorithm, self._hash.hexdigest())
        if expected not in {None, digest}:
            raise DigestMismatch(f"content of {expected} has the digest {digest}")
        self._claim(str(digest))  # before it has its name, so that no removal takes it in between
        os.fsync(self._fd)
        self._publish(digest)
        return digest, self.size

    def discard(self) -> None:
        """Discard the blob unless it was committed. Idempotent."""
        if self._fd < 0:
            return
        with suppress(FileNotFoundError):
            self._path.unlink()
        os.close(self._fd)
        self._fd = -1

    def _publish(self, digest: Digest) -> None:
        """Rename over a copy that may exist: it has the same content, or is damaged and repaired by this."""
        directory = self._root / "blobs" / digest.algorithm
        try:
            os.rename(self._path, directory / digest.hex)
        except FileNotFoundError:
            directory.mkdir(parents=True, exist_ok=True)
            os.rename(self._path, directory / digest.hex)
            _flush_directory(directory.parent)  # the directories are new as well
            _flush_directory(self._root)
        os.close(self._fd)
        self._fd = -1
        _flush_directory(directory)


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


def _flush_directory(directory: Path) -> None:
    """Flush the names in *directory*, so that they survive a power failure."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
