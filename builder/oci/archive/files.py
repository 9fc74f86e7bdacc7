"""The files of an image archive, read from a stream in one pass, before the purpose of each file is known.

An archive may name its layers before or after their content, so every file is handled by its content: layers go into
the blob store, compressed if they are not, and their uncompressed content is hashed on the way; documents stay in
memory; everything else is skipped. Symlinks are kept as text and only ever mean names inside the archive.
"""

import hashlib
import posixpath
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from pybuild.builder.oci import media
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import DigestMismatch, InvalidDigest, InvalidImage
from pybuild.builder.oci.json_documents import DOCUMENT_LIMIT
from pybuild.builder.oci.layers.layer import Layer, compress
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.oci.streams.compression import decompressing
from pybuild.builder.oci.streams.pipeline import PipeStage
from pybuild.builder.oci.streams.reading import Readable
from pybuild.builder.oci.streams.verified import PIECE, pieces
from pybuild.builder.oci.tar.entry import BLOCK, Entry, EntryKind, clean_path
from pybuild.builder.oci.tar.reader import TarReader
from pybuild.runtime.kernel.syscalls import MAX_LINKS

DOCUMENTS_LIMIT = 64 * 1024 * 1024
"""The size of all documents of an archive together: they are in memory until its end."""

_ROOT = frozenset("bin boot dev etc home lib lib64 media mnt opt proc root run sbin srv sys tmp usr var".split())
_ENOUGH = 3
"""This many of these directories make a root file system; image archives have none of them."""
_NAMED_BY_DIGEST = re.compile(r"(sha256:)?[0-9a-f]{64}(\..*)?\Z")
_OVERHEAD = 1024  # memory for a name, besides its content
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


def are_of_images(names: Collection[str]) -> bool:
    """Return whether *names*, those at the top of a tree, are those of an image archive or layout.

    A file ``manifest.json`` alone is not enough: web applications have one as well.
    """
    table = "manifest.json" in names or "repositories" in names
    marked = "oci-layout" in names or (table and any(_NAMED_BY_DIGEST.match(name) for name in names))
    return marked and _ROOT.isdisjoint(names)


@dataclass(frozen=True, slots=True)
class ArchiveFiles:
    """The content of an archive, by clean path; names in ``blobs/`` were compared with their content."""

    documents: dict[str, bytes] = field(default_factory=dict)
    layers: dict[str, Layer] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    def document(self, path: str) -> bytes | None:
        """Return the document at *path*, following symlinks; None when there is none."""
        return self.documents.get(self._follow(path))

    def layer(self, path: str) -> Layer | None:
        """Return the layer at *path*, following symlinks; None when there is none."""
        return self.layers.get(self._follow(path))

    def _follow(self, path: str) -> str:
        path = clean_path(path)
        for _ in range(MAX_LINKS):
            if path not in self.links:
                break
            path = self.links[path]
        return path


def take_files(blobs: BlobStore, stream: Readable) -> ArchiveFiles:
    """Read an archive, itself plain, gzip or zstd, to its end.

    Raises:
        LayerError: it is not a tar archive, is damaged, or exceeds a limit.
        DigestMismatch: a file in ``blobs/`` does not have the digest of its name.
        InvalidImage: two files have one path, or these are the files of a root file system.
    """
    return take_entries(blobs, TarReader(decompressing(stream)))


def take_entries(blobs: BlobStore, entries: Iterable[tuple[Entry, Readable]]) -> ArchiveFiles:
    """Take (entry, content) pairs; see `take_files`."""
    files = ArchiveFiles()
    intake = _Intake(blobs, files)
    for entry, data in entries:
        intake.look(entry.path)
        match entry.kind:
            case EntryKind.FILE:
                intake.store_file(entry.path, data)
            case EntryKind.SYMLINK:
                directory = posixpath.dirname(entry.path)
                intake.link(entry.path, clean_path(posixpath.join(directory, entry.linkname)))
            case EntryKind.HARDLINK:
                intake.link(entry.path, entry.linkname)
            case EntryKind.DIRECTORY | EntryKind.CHAR | EntryKind.BLOCK | EntryKind.FIFO:
                pass
    return files


class _Intake:
    def __init__(self, blobs: BlobStore, files: ArchiveFiles) -> None:
        self._blobs, self._files = blobs, files
        self._room = DOCUMENTS_LIMIT
        self._tops: set[str] = set()

    def look(self, path: str) -> None:
        """Raise InvalidImage when the archive, with *path* in it, must be a root file system."""
        self._tops.update({path.partition("/")[0]} & _ROOT)
        if len(self._tops) >= _ENOUGH:
            raise InvalidImage("this is a root file system, not an image archive", hint="use pybuild import for it")

    def store_file(self, path: str, data: Readable) -> None:
        """Store a file according to its content."""
        if path in self._files.documents or path in self._files.layers:
            raise InvalidImage(f"the archive holds {path!r} twice")
        expected = named_digest(path)
        head = _read_full(data, BLOCK)
        source = _Chained(head, data)
        plain = _is_tar(head)
        if plain and (expected is None or expected.algorithm == "sha256"):
            self._files.layers[path] = _compress(self._blobs, source, expected)
        elif plain or head.startswith((_GZIP, _ZSTD)):
            # A diff ID is a SHA-256 digest, so a plain layer that is named by another algorithm must stay uncompressed.
            self._files.layers[path] = _keep(self._blobs, source, expected)
        else:
            self._document(path, source, expected)

    def link(self, path: str, target: str) -> None:
        """Remember the target of a symlink."""
        self._charge(len(target))
        self._files.links[path] = target

    def _charge(self, size: int) -> None:
        self._room -= size + _OVERHEAD
        if self._room < 0:
            raise InvalidImage(f"the archive holds more than {DOCUMENTS_LIMIT} bytes of documents")

    def _document(self, path: str, source: Readable, expected: Digest | None) -> None:
        content = _read_full(source, DOCUMENT_LIMIT + 1)
        if len(content) > DOCUMENT_LIMIT:
            return
        self._charge(len(content))
        if expected:
            _compare(expected, hashlib.new(expected.algorithm, content).hexdigest(), path)
        self._files.documents[path] = content


def _compress(blobs: BlobStore, source: Readable, expected: Digest | None) -> Layer:
    """Store a plain layer compressed by gzip, so that a later save or push only copies bytes."""
    with blobs.writer() as blob:
        diff_id = compress(pieces(source), "gzip", None, blob)
        if expected:
            _compare(expected, diff_id, "layer")
        digest, size = blob.commit()
    return _layer(media.OCI_LAYER_GZIP, digest, size, diff_id)


def _keep(blobs: BlobStore, source: "_Chained", expected: Digest | None) -> Layer:
    """Store a compressed layer unchanged, and hash its uncompressed content."""
    media_type = {_GZIP: media.OCI_LAYER_GZIP, _ZSTD[:2]: media.OCI_LAYER_ZSTD}.get(source.head[:2], media.OCI_LAYER)
    diff_id = hashlib.sha256()
    hasher = PipeStage(diff_id.update)
    with blobs.writer(expected.algorithm if expected else "sha256") as blob:
        output = PipeStage(blob.write)
        try:
            tee = _Tee(source, output)
            unpacked = decompressing(tee)
            while piece := unpacked.read(PIECE):
                hasher.put(piece)
            hasher.close()
            output.close()
        finally:
            hasher.abort()
            output.abort()
        digest, size = blob.commit(expected)
    return _layer(media_type, digest, size, diff_id.hexdigest())


def _layer(media_type: str, digest: Digest, size: int, diff_id: str) -> Layer:
    descriptor = Descriptor(media_type=media_type, digest=digest, size=size)
    return Layer(descriptor=descriptor, diff_id=Digest("sha256", diff_id))


def named_digest(path: str) -> Digest | None:
    """Return the digest that a path in ``blobs/`` names; None for any other path."""
    directory, _, rest = path.partition("/")
    try:
        return Digest.parse(rest.replace("/", ":", 1)) if directory == "blobs" else None
    except InvalidDigest:
        return None


def _compare(expected: Digest, found: str, what: str) -> None:
    if expected.hex != found:
        raise DigestMismatch(f"{what}: content of {expected} has the digest {expected.algorithm}:{found}")


def _is_tar(head: bytes) -> bool:
    """Return whether this is the first block of a tar archive: a header with a right checksum, or an end mark."""
    if len(head) < BLOCK:
        return False
    if not any(head):
        return True
    # The checksum counts its own 8 bytes as spaces.
    counted = sum(head) - sum(head[148:156]) + 8 * ord(" ")
    try:
        return int(head[148:156].strip(b" \0"), 8) == counted
    except ValueError:
        return False


def _read_full(source: Readable, count: int) -> bytes:
    """Return *count* bytes, fewer only at the end."""
    parts: list[bytes] = []
    while count and (piece := source.read(count)):
        parts.append(piece)
        count -= len(piece)
    return b"".join(parts)


class _Chained:
    """A stream of bytes that were read already, then the rest."""

    def __init__(self, head: bytes, rest: Readable) -> None:
        self.head = head
        self._waiting, self._rest = head, rest

    def read(self, size: int, /) -> bytes:
        if self._waiting:
            part, self._waiting = self._waiting[:size], self._waiting[size:]
            return part
        return self._rest.read(size)


class _Tee:
    """Passes a copy of everything that is read to a stage."""

    def __init__(self, source: Readable, copies: "PipeStage[bytes | memoryview]") -> None:
        self._source, self._copies = source, copies

    def read(self, size: int, /) -> bytes:
        piece = self._source.read(size)
        if piece:
            self._copies.put(piece)
        return piece
