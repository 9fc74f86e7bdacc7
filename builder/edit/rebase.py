"""The layers of an image on another base, without a build.

No step is run again, so the layers must still fit the new base. Only one thing is checked, by diff IDs: that the image
was built on the old base.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import fstat

from pybuild.builder.edit.documents import ImageDocuments, Members
from pybuild.builder.errors import RequestError
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.documents import describe
from pybuild.builder.oci.errors import BlobNotFound, InvalidDigest, OciError
from pybuild.builder.oci.image import Image
from pybuild.builder.oci.json_documents import DOCUMENT_LIMIT
from pybuild.builder.oci.model import Descriptor

BASE_NAME = "org.opencontainers.image.base.name"
BASE_DIGEST = "org.opencontainers.image.base.digest"

BUILD_CACHES = ("pybuild.cache.v1", "moby.buildkit.cache.v0")
"""Fields of a config that describe the layers of the image for builders."""

_PLATFORM = ("architecture", "os", "os.features", "os.version", "variant")


@dataclass(frozen=True, slots=True)
class BaseImage:
    """A base image; *text* is what the user wrote, *name* the full name, "" when it has none."""

    text: str
    name: str
    image: Image
    documents: ImageDocuments


def rebased(image: ImageDocuments, old: BaseImage, new: BaseImage, *, text: str) -> ImageDocuments:
    """Return *image*, which the user calls *text*, with the base *new* instead of *old*.

    The config is that of the image, with the platform of *new*. Annotations name the new base. A build cache in the
    config is removed, because it refers to the old layers.

    Raises:
        RequestError: the image does not begin with the layers of *old*.
    """
    count = len(old.documents.diff_ids)
    _check(image.diff_ids, old, text)
    own = image.history[_own_history(image.history, old.documents.history, count) :]
    moved = image.with_layers(
        (*new.documents.layers, *image.layers[count:]),
        (*new.documents.diff_ids, *image.diff_ids[count:]),
        (*new.documents.history, *own),
    )
    platform = {key: new.documents.config[key] for key in _PLATFORM if key in new.documents.config}
    kept = {key: value for key, value in moved.config.items() if key not in {*_PLATFORM, *BUILD_CACHES}}
    annotations = {**(image.manifest.get("annotations") or {}), **_annotations(new)}
    if not new.name:
        annotations.pop(BASE_NAME, None)
    return replace(moved, config={**platform, **kept}).with_annotations(annotations)


def recorded_base(blobs: BlobStore, annotations: Mapping[str, str]) -> Descriptor | None:
    """Return the base that the annotations of a manifest name by digest; None when they do not.

    Raises:
        RequestError: the store does not have it, or it is not an image.
    """
    text = annotations.get(BASE_DIGEST, "")
    if not text:
        return None
    try:
        digest = Digest.parse(text)
        with blobs.open(digest) as file:
            found = Descriptor(media_type="", digest=digest, size=fstat(file.fileno()).st_size)
        return describe(blobs.read(found, DOCUMENT_LIMIT), digest)
    except InvalidDigest as error:
        raise RequestError(f"annotation {BASE_DIGEST}: {error}", hint="name the old base with --old-base") from error
    except BlobNotFound as error:
        name = annotations.get(BASE_NAME, "")
        pull = f"pybuild pull {name.partition('@')[0]}@{digest}" if name else "pull it"
        message = f"the store does not have the old base {name or digest}"
        raise RequestError(message, hint=f"{pull}, or name it with --old-base") from error
    except OciError as error:
        raise RequestError(
            f"annotation {BASE_DIGEST} does not name an image: {error}", hint="use --old-base"
        ) from error


def _check(diff_ids: Sequence[str], old: BaseImage, text: str) -> None:
    below = old.documents.diff_ids
    if len(below) > len(diff_ids):
        reason = f"it has {len(diff_ids)} layers, its base would have {len(below)}"
        raise RequestError(f"{text} is not based on {old.text}: {reason}", hint=_HINT)
    for number, (mine, other) in enumerate(zip(diff_ids, below, strict=False), 1):
        if mine != other:
            reason = f"layer {number} is {mine[:19]} instead of {other[:19]}"
            raise RequestError(f"{text} is not based on {old.text}: {reason}", hint=_HINT)


_HINT = "name the exact base image with --old-base, as name@digest when the name was moved"


def _own_history(mine: Sequence[Members], base: Sequence[Members], layers: int) -> int:
    """Return the index of the first history entry of the image itself, after those of its base.

    When the history of the base differs, it is the index after the last entry for a layer of the base.
    """
    if [_gist(entry) for entry in mine[: len(base)]] == [_gist(entry) for entry in base]:
        return len(base)
    place = 0
    while layers:
        layers -= not mine[place].get("empty_layer")
        place += 1
    return place


def _gist(entry: Members) -> tuple[object, bool]:
    return entry.get("created_by") or "", bool(entry.get("empty_layer"))


def _annotations(new: BaseImage) -> dict[str, str]:
    return {BASE_DIGEST: str(new.image.descriptor.digest), **({BASE_NAME: new.name} if new.name else {})}
