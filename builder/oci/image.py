"""An image: its descriptor, manifest and config, read and checked together, or written together."""

import os
from collections.abc import Mapping

from pybuild.builder.oci import media
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import InvalidImage, OtherPlatform
from pybuild.builder.oci.model import Descriptor, ImageConfig, Index, Manifest, Platform
from pybuild.runtime.values import frozen, replace

INDEX_DEPTH = 3
"""How deep indexes may be nested; deeper ones have no use and may be an attack."""

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "i686": "386", "armv7l": "arm", "armv6l": "arm"}
_MACHINE_VARIANTS = {"armv7l": "v7", "armv6l": "v6"}
# (oldest, assumed): a processor runs code for the older ones, too; which variant is assumed when none is named follows
# containerd's platform matching ("Normalization").
_VERSIONS = {"arm": (5, 7), "arm64": (8, 8), "amd64": (1, 1)}
_LONGEST_VARIANT = len("v99")


@frozen
class Image:
    """One image for one platform. *descriptor* names its manifest."""

    descriptor: Descriptor
    manifest: Manifest
    config: ImageConfig

    @property
    def id(self) -> Digest:
        """The image ID: the digest of the config."""
        return self.manifest.config.digest


def host_platform() -> Platform:
    """Return the platform of this host."""
    machine = os.uname().machine
    return Platform(
        os="linux", architecture=_MACHINES.get(machine, machine), variant=_MACHINE_VARIANTS.get(machine, "")
    )


def read_image(blobs: BlobStore, descriptor: Descriptor, platform: Platform | None = None) -> Image:
    """Read the image that *descriptor* names: a manifest, or an index in which one for *platform* is chosen.

    Without a *platform* an index is searched for that of this host, and a manifest may be for any platform. An image
    without layers, or whose config names no platform, is for every platform.

    Raises:
        OtherPlatform: the image is not for the platform, or the index has none for it.
        InvalidImage: a document is invalid, or the image is for another platform than its index names.
        BlobNotFound: a document is not in the store.
    """
    chosen, manifest = read_manifest(blobs, descriptor, platform)
    config = ImageConfig.from_json(blobs.read(manifest.config), f"config {manifest.config.digest}")
    # They are opened later, and no removal may take them until then.
    for layer in manifest.layers:
        blobs.claim(str(layer.digest))
    if len(config.diff_ids) != len(manifest.layers):
        raise InvalidImage(
            f"image {chosen.digest}: the manifest has {len(manifest.layers)} layers, the config {len(config.diff_ids)}"
        )
    if chosen.platform is not None:
        _check_listed(chosen, config, chosen.platform)
    image = Image(descriptor=chosen, manifest=manifest, config=config)
    if platform is not None:
        check_platform(image, platform)
    return image


def read_manifest(
    blobs: BlobStore, descriptor: Descriptor, platform: Platform | None = None
) -> tuple[Descriptor, Manifest]:
    """Return the manifest of an image and its descriptor, chosen as `read_image` does.

    Raises:
        OtherPlatform: an index has no image for the platform.
        InvalidImage: a document is invalid, or that of an artifact which is no image.
        BlobNotFound: a document is not in the store.
    """
    chosen = choose_manifest(blobs, descriptor, platform)
    manifest = Manifest.from_json(blobs.read(chosen), f"manifest {chosen.digest}")
    check_media_type(chosen, manifest.media_type)
    if manifest.config.media_type not in media.CONFIGS:
        kind = manifest.artifact_type or manifest.config.media_type
        raise InvalidImage(f"{chosen.digest} is not an image but an artifact of the type {kind!r}")
    return chosen, manifest


def write_image(
    blobs: BlobStore,
    config: ImageConfig,
    layers: tuple[Descriptor, ...],
    annotations: Mapping[str, str] | None = None,
) -> Image:
    """Store the documents of an image whose layers are stored already. The same values give the same digests."""
    if len(layers) != len(config.diff_ids):
        raise InvalidImage(f"an image of {len(layers)} layers has {len(config.diff_ids)} diff IDs")
    manifest = Manifest(
        config=blobs.put(config.to_json(), media.OCI_CONFIG),
        layers=tuple(_plain(layer) for layer in layers),
        annotations=annotations or {},
    )
    descriptor = blobs.put(manifest.to_json(), manifest.media_type)
    platform = Platform(os=config.os, architecture=config.architecture, variant=config.variant)
    return Image(descriptor=replace(descriptor, platform=platform), manifest=manifest, config=config)


def choose_manifest(blobs: BlobStore, descriptor: Descriptor, platform: Platform | None = None) -> Descriptor:
    """Return the descriptor of the manifest for *platform* below *descriptor*, which may itself be that manifest."""
    wanted = platform or host_platform()
    for _ in range(INDEX_DEPTH + 1):
        if descriptor.media_type not in media.INDEXES:
            return descriptor
        index = Index.from_json(blobs.read(descriptor), f"index {descriptor.digest}")
        check_media_type(descriptor, index.media_type)
        descriptor = select(index, wanted, descriptor.digest)
    raise InvalidImage(f"index {descriptor.digest}: more than {INDEX_DEPTH} indexes in one another")


def reachable(blobs: BlobStore, descriptor: Descriptor) -> tuple[Descriptor, ...]:
    """Return *descriptor* and everything that it leads to, each blob once, a document before what it names.

    Raises:
        BlobNotFound: a document on the way is not in the store. Layers are not checked.
    """
    found: dict[Digest, Descriptor] = {}
    waiting = [(descriptor, 0)]
    while waiting:
        item, depth = waiting.pop(0)
        if item.digest in found:
            continue
        if depth >= INDEX_DEPTH and item.media_type in media.INDEXES:
            raise InvalidImage(f"index {item.digest}: more than {INDEX_DEPTH} indexes in one another")
        found[item.digest] = item
        waiting += [(child, depth + 1) for child in children(blobs, item)]
    return tuple(found.values())


def children(blobs: BlobStore, descriptor: Descriptor) -> tuple[Descriptor, ...]:
    """Return the descriptors in a document; none for a blob that is not a manifest or an index."""
    found: tuple[Descriptor, ...] = ()
    if descriptor.media_type in media.INDEXES:
        found = Index.from_json(blobs.read(descriptor), f"index {descriptor.digest}").manifests
    elif descriptor.media_type in media.MANIFESTS:
        manifest = Manifest.from_json(blobs.read(descriptor), f"manifest {descriptor.digest}")
        found = (manifest.config, *manifest.layers)
    for child in found:
        blobs.claim(str(child.digest))
    return found


def select(index: Index, platform: Platform, name: Digest) -> Descriptor:
    """Return the entry of *index* that matches *platform* best; *name* is for the error.

    Entries are tried in their order. An entry without a platform is used when there is no other.

    Raises:
        OtherPlatform: none matches; the hint lists the platforms.
    """
    for candidate in _acceptable(platform):
        for entry in index.manifests:
            if entry.platform and normal_platform(entry.platform) == candidate:
                return entry
    if len(index.manifests) == 1 and index.manifests[0].platform is None:
        return index.manifests[0]
    present = sorted({str(entry.platform) for entry in index.manifests if entry.platform})[:20]
    hint = f"available: {', '.join(present)}" if present else ""
    raise OtherPlatform(f"no image for {platform} in index {name}", hint=hint, present=tuple(present))


def check_platform(image: Image, platform: Platform) -> None:
    """Raise OtherPlatform for an image that is not for *platform*. Variants may differ: who runs it decides.

    An image without layers, or whose config names no platform, is for every platform.
    """
    config = image.config
    if config.diff_ids and _differs(config, platform):
        own = str(Platform(os=config.os, architecture=config.architecture, variant=config.variant))
        raise OtherPlatform(f"image {image.descriptor.digest} is for {own}, not for {platform}", present=(own,))


def check_media_type(descriptor: Descriptor, media_type: str) -> None:
    """Refuse a document with another media type than the descriptor that led to it (CVE-2021-41190)."""
    if descriptor.media_type != media_type:
        raise InvalidImage(
            f"{descriptor.digest}: the descriptor says {descriptor.media_type!r}, the document {media_type!r}"
        )


def _acceptable(wanted: Platform) -> list[tuple[str, str, str]]:
    """The platforms that run on *wanted*, best first."""
    os_name, architecture, variant = normal_platform(wanted)
    # Each version up to the wanted one is a candidate, and the number may come from a Dockerfile: v999999999.
    if architecture not in _VERSIONS or not variant[1:].isdecimal() or len(variant) > _LONGEST_VARIANT:
        return [(os_name, architecture, variant)]
    oldest = _VERSIONS[architecture][0]
    return [(os_name, architecture, f"v{version}") for version in range(int(variant[1:]), oldest - 1, -1)]


def normal_platform(platform: Platform) -> tuple[str, str, str]:
    """Return (os, architecture, variant), with the default variant when none is named."""
    assumed = _VERSIONS.get(platform.architecture)
    variant = platform.variant or (f"v{assumed[1]}" if assumed else "")
    return platform.os, platform.architecture, variant


def _check_listed(descriptor: Descriptor, config: ImageConfig, listed: Platform) -> None:
    """Refuse an image whose index names another platform than its config."""
    if _differs(config, listed):
        raise InvalidImage(
            f"image {descriptor.digest} is for {config.os}/{config.architecture}, not for {listed}",
            hint="its config names another platform than its index",
        )


def _differs(config: ImageConfig, platform: Platform) -> bool:
    return bool(config.architecture) and (config.os, config.architecture) != (platform.os, platform.architecture)


def _plain(layer: Descriptor) -> Descriptor:
    """A layer with an OCI media type; a Docker base has Docker's."""
    return replace(layer, media_type=media.to_oci(layer.media_type), platform=None)
