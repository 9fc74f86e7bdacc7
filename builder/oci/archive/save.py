"""Images as one tar archive that Docker and OCI tools read: an OCI layout with Docker's ``manifest.json`` in it.

    oci-layout index.json       for OCI tools
    manifest.json               for ``docker load``; its paths lead to the same blobs
    blobs/<algorithm>/<hex>     each blob once, however many images share it; documents before layers

The bytes depend only on the images and their names: no times, no users, a fixed order.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from pybuild.builder.oci import media
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import ImageNotFound
from pybuild.builder.oci.image import reachable, read_manifest
from pybuild.builder.oci.json_documents import encode
from pybuild.builder.oci.layout import LAYOUT, exported_annotations
from pybuild.builder.oci.model import Descriptor, Index
from pybuild.builder.oci.streams.pipeline import PipeStage
from pybuild.builder.oci.streams.verified import pieces, verifying
from pybuild.builder.oci.tar.entry import Entry, EntryKind
from pybuild.builder.oci.tar.header import encode_header, padding
from pybuild.runtime.values import frozen

Sink = Callable[[bytes | memoryview], object]
Named = tuple[tuple[str, ...], Descriptor]
"""An image and its names, spelled in full."""

Status = Callable[[str, int, int], None]
"""Takes (digest of a blob, bytes done, bytes in all)."""

_END = bytes(1024)


@frozen
class ArchiveContent:
    """What is written besides the blobs, and which of these are left out."""

    docker: bool = True
    """Docker's table."""
    oci: bool = True
    """The index of an OCI layout."""
    without: Collection[Digest] = ()
    """Blobs that the reader has."""


WHOLE = ArchiveContent()


def _no_status(_digest: str, _done: int, _size: int) -> None:
    """Report nothing."""


def save(
    blobs: BlobStore,
    images: Sequence[Named],
    sink: Sink,
    content: ArchiveContent = WHOLE,
    status: Status = _no_status,
) -> None:
    """Write *images* as an archive to *sink*; blobs are verified as they are read.

    *status* is called for every blob with nothing done, then as each is written.

    When this raises, the output is not a valid archive and must be discarded.

    Raises:
        BlobNotFound, DigestMismatch, SizeMismatch: a blob of the store is missing or damaged.
    """
    named = (item for _, descriptor in images for item in reachable(blobs, descriptor))
    written = {item.digest: item for item in named if item.digest not in content.without}
    if content.oci:
        _add_bytes(sink, "oci-layout", LAYOUT)
        _add_bytes(sink, "index.json", Index(manifests=tuple(_index_entries(images))).to_json())
    if content.docker:
        _add_bytes(sink, "manifest.json", encode(_docker_entries(blobs, images)))
    for directory in ("blobs", *sorted({f"blobs/{digest.algorithm}" for digest in written})):
        sink(encode_header(Entry(path=directory, kind=EntryKind.DIRECTORY, mode=0o755)))
    for descriptor in written.values():
        status(str(descriptor.digest), 0, descriptor.size)
    for descriptor in sorted(written.values(), key=_documents_first):
        _add_blob(sink, blobs, descriptor, status)
    sink(_END)


def _index_entries(images: Sequence[Named]) -> list[Descriptor]:
    return [
        replace(descriptor, annotations={**descriptor.annotations, **exported_annotations(name)})
        for names, descriptor in images
        for name in names or ("",)
    ]


def _docker_entries(blobs: BlobStore, images: Sequence[Named]) -> list[dict[str, object]]:
    """Docker's table has no indexes, so it lists the image for this host of a multi-platform image."""
    entries: list[dict[str, object]] = []
    for names, descriptor in images:
        try:
            _, manifest = read_manifest(blobs, descriptor)
        except ImageNotFound:
            continue
        entries.append(
            {
                "Config": _path(manifest.config),
                # `docker load` ends with "invalid tag" at a name that has a digest in place of a tag.
                "RepoTags": [familiar(name) for name in names if "@" not in name] or None,
                "Layers": [_path(layer) for layer in manifest.layers],
            }
        )
    return entries


def familiar(name: str) -> str:
    """Return a full name in its short form, without the default registry."""
    return name.removeprefix("docker.io/library/").removeprefix("docker.io/")


def _documents_first(descriptor: Descriptor) -> tuple[bool, str]:
    return media.layer_compression(descriptor.media_type) is not None, str(descriptor.digest)


def _path(descriptor: Descriptor) -> str:
    return f"blobs/{descriptor.digest.algorithm}/{descriptor.digest.hex}"


def _add_bytes(sink: Sink, path: str, content: bytes) -> None:
    sink(encode_header(Entry(path=path, kind=EntryKind.FILE, size=len(content))) + content + padding(len(content)))


def _add_blob(sink: Sink, blobs: BlobStore, descriptor: Descriptor, status: Status) -> None:
    """Copy a blob; a thread writes one chunk while the next one is read and hashed."""
    sink(encode_header(Entry(path=_path(descriptor), kind=EntryKind.FILE, size=descriptor.size)))
    output = PipeStage[bytes](lambda piece: _write(sink, piece))
    try:
        with verifying(blobs.open(descriptor), descriptor.digest, descriptor.size) as stream:
            done = 0
            for piece in pieces(stream):
                output.put(piece)
                done += len(piece)
                status(str(descriptor.digest), done, descriptor.size)
        output.close()
    finally:
        output.abort()
    sink(padding(descriptor.size))


def _write(sink: Sink, piece: bytes) -> None:
    sink(piece)
