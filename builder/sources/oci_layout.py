"""Images in OCI layouts of the host as bases: ``oci-layout://path[:tag][@digest]``.

Documents are copied into the store when the reference is pinned, layers when they are needed; all are verified.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pybuild.builder.errors import BuildError, reason
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.documents import describe
from pybuild.builder.oci.errors import InvalidDigest, OciError
from pybuild.builder.oci.image import Image, read_image
from pybuild.builder.oci.json_documents import DOCUMENT_LIMIT
from pybuild.builder.oci.layout import Layout, read_index
from pybuild.builder.oci.media import INDEXES
from pybuild.builder.oci.model import Descriptor, Platform
from pybuild.builder.store.store import Store

SCHEME = "oci-layout://"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    path: Path
    tag: str = ""
    digest: str = ""


def resolve(reference: str, platform: Platform, store: Store) -> Image:
    """Return the image that *reference* names, with its documents in the store. Raises BuildError."""
    place = _place(reference)
    try:
        theirs = BlobStore(place.path)
        descriptor = _descriptor(place, theirs)
        # As in BuildKit, an image without an index is used for any platform, and a check warns.
        image = read_image(theirs, descriptor, platform if descriptor.media_type in INDEXES else None)
        _copy(theirs, (image.manifest.config, image.descriptor), store)
    except (OciError, OSError) as error:
        raise BuildError(f"failed to load {reference}: {reason(error)}") from error
    return image


def fetch(reference: str, layers: Iterable[Descriptor], store: Store) -> None:
    """Copy *layers* into the store. Raises BuildError."""
    try:
        _copy(BlobStore(_place(reference).path), layers, store)
    except (OciError, OSError) as error:
        raise BuildError(f"failed to load {reference}: {reason(error)}") from error


def _place(reference: str) -> _Place:
    named, _, digest = reference.removeprefix(SCHEME).partition("@")
    path, colon, tag = named.rpartition(":")
    # A colon before a slash is part of the path.
    if not colon or "/" in tag:
        path, tag = named, ""
    return _Place(path=Path(path).absolute(), tag=tag, digest=digest)


def _descriptor(place: _Place, blobs: BlobStore) -> Descriptor:
    """Return the descriptor that the reference names: by digest, by tag, or the only one of the layout."""
    if not place.path.is_dir():
        raise BuildError(f"{place.path}: no such directory")
    if place.digest:
        try:
            digest = Digest.parse(place.digest)
        except InvalidDigest as error:
            raise BuildError(f"{place.path}: {error}") from error
        with blobs.open(digest) as file:
            return describe(file.read(DOCUMENT_LIMIT), digest)
    if read_index(place.path) is None:
        raise BuildError(f"{place.path}: is not an OCI layout: it has no index.json")
    layout = Layout(place.path)
    entries = layout.entries()
    if not place.tag and len(entries) == 1:
        return entries[0][1]
    wanted = place.tag or "latest"
    found = layout.named(wanted)
    if len(found) == 1:
        return found[0]
    if found:
        hint = f"name one by its digest: {SCHEME}{place.path}@{found[0].digest}"
        raise BuildError(f"{place.path} has {len(found)} images {wanted!r}", hint=hint)
    names = ", ".join(sorted(name for name, _ in entries if name)) or "no named images"
    raise BuildError(f"{place.path} has no image {wanted!r}", hint=f"it has {names}")


def _copy(theirs: BlobStore, descriptors: Iterable[Descriptor], store: Store) -> None:
    for descriptor in descriptors:
        if not store.blobs.has(descriptor):
            with theirs.open(descriptor) as stream:
                store.blobs.put_stream(stream, descriptor, descriptor.media_type)
