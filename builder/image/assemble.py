"""The image of a target: its config with times and layers filled in, its documents written to the store.

Annotations of a manifest apply to its platform, those of an index to the index; annotations of a descriptor are put
where it refers to either. Images and indexes have no name here.
"""

import time
from collections.abc import Mapping
from datetime import UTC, datetime

from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.image import Image, write_image
from pybuild.builder.oci.model import Descriptor, History, ImageConfig, Index, Platform
from pybuild.builder.plan.plan import Plan
from pybuild.builder.request import Execution, Result
from pybuild.builder.store.cache import Layers
from pybuild.builder.store.store import Store
from pybuild.runtime.values import frozen, replace


def timestamp(nanoseconds: int | None = None) -> str:
    """Return a time (default: now) as Go writes it: RFC 3339, UTC, fractions without trailing zeros."""
    seconds, rest = divmod(time.time_ns() if nanoseconds is None else nanoseconds, 1_000_000_000)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{text}{fraction}Z"


@frozen
class ImageTimes:
    """The times of an image that do not come from its layers.

    *epoch*, in seconds, is that of the image and of its steps without one, None for none. *planned*, in RFC 3339, is
    that of an image without any other time.
    """

    planned: str
    epoch: int | None = None


def assemble(
    config: ImageConfig,
    layers: Layers,
    blobs: BlobStore,
    times: ImageTimes,
    annotations: Mapping[str, str] | None = None,
) -> Image:
    """Write the image of *layers* with *config*, whose history has one entry that is not empty per layer.

    The same arguments give the same image: times come from the layers and from *times*, never from the clock.
    """
    planned, epoch = times.planned, times.epoch
    history = _dated(config.history, layers, epoch)
    created = next((entry.created for entry in reversed(history) if entry.created), "")
    document = replace(
        config,
        created=_epoch(epoch) or created or planned,
        diff_ids=layers.diff_ids,
        history=tuple(replace(entry, created=entry.created or _epoch(epoch) or planned) for entry in history),
    )
    return write_image(blobs, document, tuple(layer.descriptor for layer in layers), annotations)


def _epoch(epoch: int | None) -> str:
    return "" if epoch is None else timestamp(epoch * 1_000_000_000)


def _dated(history: tuple[History, ...], layers: Layers, epoch: int | None) -> tuple[History, ...]:
    """Set the time of every entry: its layer's, or that of the layer before it, or that of the first new layer.

    A base image may have fewer entries than layers. Missing ones are added in front, so that entries and layers match
    at the end.
    """
    count = sum(not entry.empty_layer for entry in history)
    if count > len(layers):
        # As in BuildKit: a history with entries for more layers than there are cannot be matched.
        history, count = tuple(replace(entry, empty_layer=True) for entry in history), 0
    missing = tuple(History(created_by="imported") for _ in range(len(layers) - count))
    pending = iter(layers)
    dated = []
    for entry in (*missing, *history):
        made = "" if entry.empty_layer else next(pending).created
        dated.append(replace(entry, created=entry.created or _epoch(epoch) or made))
    return _filled(dated)


def _filled(history: list[History]) -> tuple[History, ...]:
    """Give entries without a time that of the entry before; those before the first new layer get that layer's."""
    first_gap = next((i for i, entry in enumerate(history) if not entry.created), len(history))
    later = next((entry.created for entry in history[first_gap:] if entry.created), "")
    current = later or next((entry.created for entry in reversed(history[:first_gap]) if entry.created), "")
    filled = []
    for index, entry in enumerate(history):
        if index >= first_gap and entry.created:
            current = entry.created
        filled.append(entry if entry.created else replace(entry, created=current))
    return tuple(filled)


@frozen
class PlannedImage:
    """What an image is made of; *build_cache* is the document of an inline cache, "" for none."""

    platform: str = ""
    plan: Plan
    layers: Layers
    build_cache: str = ""


@frozen
class PlatformImage:
    """The image for one platform; *descriptor* is that of its manifest, with the platform."""

    platform: str
    image_id: Digest
    descriptor: Descriptor
    created: str


def write_planned(planned: PlannedImage, result: Result, execution: Execution, store: Store) -> PlatformImage:
    """Write the image of a plan whose layers are known, squashed if *result* asks for that."""
    config, layers = ImageConfig.from_json(planned.plan.config.encode()), planned.layers
    if planned.build_cache:
        config = replace(config, build_cache=planned.build_cache)
    if result.squash:
        from pybuild.builder.image.squash import squash

        config, layers = squash(config, layers, result.squash, execution, store)
    image = assemble(
        config,
        layers,
        store.blobs,
        ImageTimes(planned=planned.plan.created, epoch=execution.source_date_epoch),
        _manifest_annotations(result, config),
    )
    noted = replace(image.descriptor, annotations=_manifest_annotations(result, config, "manifest-descriptor"))
    return PlatformImage(platform=planned.platform, image_id=image.id, descriptor=noted, created=image.config.created)


def write_index(images: tuple[PlatformImage, ...], result: Result, store: Store) -> Descriptor:
    """Write the index that lists *images*, in their order."""
    index = Index(manifests=tuple(image.descriptor for image in images), annotations=_index_annotations(result))
    descriptor = store.blobs.put(index.to_json(), index.media_type)
    return replace(descriptor, annotations=_index_annotations(result, "index-descriptor"))


def _manifest_annotations(result: Result, config: ImageConfig, kind: str = "manifest") -> dict[str, str]:
    """Return the annotations of the manifest of an image with this *config*, or of its descriptor."""
    if not result.annotations:
        return {}
    from pybuild.builder.platforms import parse_platform

    own = Platform(os=config.os, architecture=config.architecture, variant=config.variant)
    return {
        item.key: item.value
        for item in result.annotations
        if item.kind == kind and (not item.platform or parse_platform(item.platform) == own)
    }


def _index_annotations(result: Result, kind: str = "index") -> dict[str, str]:
    """Return the annotations of the index, or of its descriptor."""
    return {item.key: item.value for item in result.annotations if item.kind == kind}
