"""The images of the store, and finding one of them by name, by digest, or by the start of its ID."""

import re
from collections.abc import Iterable

from pybuild.builder.oci import media
from pybuild.builder.oci.errors import BlobNotFound, ImageNotFound, OciError, OtherPlatform
from pybuild.builder.oci.image import Image, host_platform, read_image
from pybuild.builder.oci.model import Descriptor, Platform
from pybuild.builder.oci.stored_index import choose_present
from pybuild.builder.store.store import Store
from pybuild.grammar.reference import InvalidReference, Reference, parse_reference
from pybuild.runtime.values import positional

_ID = re.compile(r"(?:sha256:)?([0-9a-f]{2,64})\Z")


@positional
class Listed:
    """An entry of the store: a full *name*, "" for an image without one, and its descriptor.

    *image* is the image for this host, else the first one that the store has; None when it has none, or it is damaged.
    """

    name: str
    descriptor: Descriptor
    image: Image | None

    @property
    def id(self) -> str:
        """The image ID; the digest of the index when there is no image."""
        return str(self.image.id if self.image is not None else self.descriptor.digest)

    @property
    def reference(self) -> Reference | None:
        """The parsed name; None when there is none, or it is invalid."""
        try:
            return parse_reference(self.name) if self.name else None
        except InvalidReference:
            return None


def catalog(store: Store) -> list[Listed]:
    """Return all entries of the store, in the order of their names."""
    entries = sorted(store.layout.entries(), key=lambda entry: (not entry[0], entry[0]))
    return [Listed(name, descriptor, image_of(store, descriptor)) for name, descriptor in entries]


def find(store: Store, text: str) -> Listed:
    """Return the entry that *text* names. Raises ImageNotFound when there is none or more than one image."""
    name = _full_name(text)
    descriptor = store.layout.resolve(name) if name else None
    if descriptor is not None:
        return Listed(name, descriptor, image_of(store, descriptor))
    found = by_digest(catalog(store), text)
    if len({entry.id for entry in found}) > 1:
        raise ImageNotFound(f"more than one image has an ID that begins with {text}", hint="use more of its digits")
    if not found:
        # Docker's message, which scripts look for.
        raise ImageNotFound(
            f"No such image: {familiar(name or text)}", hint="pybuild images lists the images of the store"
        )
    return Listed("", found[0].descriptor, found[0].image)


def by_digest(entries: Iterable[Listed], text: str) -> list[Listed]:
    """Return those of *entries* that *text* names by ``name@digest``, by a digest, or by the start of an ID."""
    repository, at, digest = text.partition("@")
    found = _ID.match(digest if at else text)
    if found is None:
        return []
    prefix = found.group(1)
    named = [entry for entry in entries if not at or _repository(entry.name) == _repository(repository)]
    return [
        entry
        for entry in named
        if entry.id.partition(":")[2].startswith(prefix) or entry.descriptor.digest.hex == prefix
    ]


def find_image(store: Store, text: str, platform: Platform | None = None) -> Image:
    """Return the image that *text* names, for *platform* or for this host; without an index, it may be for another.

    Raises:
        OtherPlatform: it is not for *platform*, or the store has nothing of it for that but the entry of an index.
        ImageNotFound: the store has none, or more than one.
    """
    found = find(store, text).descriptor
    try:
        return read_image(store.blobs, found, platform)
    except (OtherPlatform, BlobNotFound) as error:
        if isinstance(error, BlobNotFound) and found.media_type not in media.INDEXES:
            raise
        present = error.present if isinstance(error, OtherPlatform) else ()
        wanted = platform or host_platform()
        hint = f"it is for {', '.join(present)}" if present else f"pybuild pull --platform={wanted} {text}"
        # Docker's message, which scripts look for.
        message = f"image with reference {text} was found but does not provide the specified platform ({wanted})"
        raise OtherPlatform(message, hint=hint, present=present) from error


def find_present(store: Store, text: str, platform: Platform | None = None) -> Image:
    """Like `find_image`; without *platform* and an image for this host, the first one that the store has."""
    found = find(store, text).descriptor
    return read_image(store.blobs, found if platform else choose_present(store.blobs, found), platform)


def familiar(name: str) -> str:
    """Return a full name as people write it: ``debian:latest``."""
    try:
        return parse_reference(name).familiar()
    except InvalidReference:
        return name


def content_size(image: Image) -> int:
    """Return the size of the blobs of an image."""
    return image.descriptor.size + image.manifest.config.size + sum(layer.size for layer in image.manifest.layers)


def _full_name(text: str) -> str:
    try:
        return str(parse_reference(text))
    except InvalidReference:
        return ""


def _repository(name: str) -> str:
    try:
        reference = parse_reference(name)
    except InvalidReference:
        return name
    return f"{reference.registry}/{reference.repository}"


def image_of(store: Store, descriptor: Descriptor) -> Image | None:
    """Return `Listed.image` for *descriptor*."""
    try:
        return read_image(store.blobs, choose_present(store.blobs, descriptor))
    except OciError:
        return None
