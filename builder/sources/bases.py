"""Base images: from references to pinned images, and their layers when something needs them.

A reference is looked up in the store first, then in its registry (``--pull`` changes that), with the mirrors and
credentials that this user has configured. An image from a registry is kept under its name, so the next build works
without a network, unless the store has an image for another platform under that name. Only manifest and config are
fetched here; layers are fetched when a step must read them or the image is written.

An image without an index is for one platform, which may be another one than the build wants. As in BuildKit, it is used
when there is no better one, and the check InvalidBaseImagePlatform warns.
"""

import threading
from collections.abc import Callable

from pybuild.builder.errors import BuildError, Cancelled, PullFailed
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import ImageNotFound, OciError, OtherPlatform
from pybuild.builder.oci.image import Image, read_image
from pybuild.builder.oci.json_documents import DOCUMENT_LIMIT
from pybuild.builder.oci.media import INDEXES
from pybuild.builder.oci.model import Descriptor, ImageConfig, Platform
from pybuild.builder.plan.ops import Base
from pybuild.builder.progress import silent
from pybuild.builder.reporter import Reporter, RunningStep
from pybuild.builder.store.cache import Layers, image_layers
from pybuild.builder.store.store import Store
from pybuild.runtime.values import frozen

_LAYOUT = "oci-layout://"
UNSEEN = Reporter(silent)
"""A reporter that shows nothing."""


@frozen
class Pinned:
    """The image that a reference meant when the build started."""

    reference: str
    image: Image

    @property
    def config(self) -> ImageConfig:
        """The config of the image."""
        return self.image.config

    @property
    def manifest(self) -> str:
        """The digest of the image manifest."""
        return str(self.image.descriptor.digest)


def pin(
    reference: str, platform: Platform, store: Store, reporter: Reporter = UNSEEN, *, pull: str, context: str = ""
) -> Pinned:
    """Return the image that *reference* (a full name) means; *pull* is `builder.request.Caches.pull`.

    A question to a registry is a step of its own for *reporter*, named after the *context* that names the reference.

    Raises:
        PullFailed: neither the store nor the registry has it for this platform.
    """
    if reference.startswith(_LAYOUT):
        from pybuild.builder.sources.oci_layout import resolve

        return Pinned(reference=reference, image=resolve(reference, platform, store))

    def pulled() -> Image:
        with reporter.step(
            f"[{f'context {context}' if context else 'internal'}] load metadata for {reference}"
        ) as step:
            return _ask(reference, platform, store, step)

    return Pinned(reference=reference, image=_found(reference, platform, store, pulled, pull))


def _found(reference: str, platform: Platform, store: Store, pulled: Callable[[], Image], pull: str) -> Image:
    local = None if pull == "always" else stored(reference, platform, store)
    if local is not None and pull != "newer":
        return local
    others = () if pull == "always" else _others(reference, platform, store)
    if pull == "never" and not others:
        raise PullFailed(
            f"{reference}: not found in the store", hint="--pull=never asks no registry; use pybuild pull or load first"
        )
    if pull == "never":
        return _of_another_platform(reference, platform, store, others)
    try:
        return pulled()
    except PullFailed as error:
        if local is not None:
            return local
        if not others:
            raise
        return _of_another_platform(reference, platform, store, others, f", and no registry gave one: {error.message}")


def _of_another_platform(
    reference: str, platform: Platform, store: Store, others: tuple[str, ...], reason: str = ""
) -> Image:
    """Return the image of the store although it is for *others*. Raises PullFailed, with *reason*, for an index."""
    if (image := _without_index(reference, store)) is not None:
        return image
    raise PullFailed(
        f"{reference}: the image in the store is for {', '.join(others)}, not for {platform}{reason}",
        hint=f"build with --platform={others[0]}, or import or load an image for {platform}",
    )


def stored(reference: str, platform: Platform, store: Store) -> Image | None:
    """Return the image that the store, or a layout of the host, has under *reference* for *platform*."""
    if reference.startswith(_LAYOUT):
        from pybuild.builder.sources.oci_layout import resolve

        try:
            return resolve(reference, platform, store)
        except BuildError:
            return None
    try:
        return _named(reference, platform, store)
    except OciError:
        return None


def usable(reference: str, platform: Platform, store: Store) -> Image | None:
    """Return what `stored` does, or else an image without an index that is for another platform."""
    return stored(reference, platform, store) or _without_index(reference, store)


def _without_index(reference: str, store: Store) -> Image | None:
    """Return the image of the store, for whatever platform it is; None when it has an index, or there is none."""
    descriptor = _descriptor(reference, store)
    return None if descriptor is None or descriptor.media_type in INDEXES else of_any_platform(reference, store)


def of_any_platform(reference: str, store: Store) -> Image | None:
    """Return the image that the store has under *reference*, for this host or, without an index, any platform."""
    try:
        return _named(reference, None, store)
    except OciError:
        return None


def _others(reference: str, platform: Platform, store: Store) -> tuple[str, ...]:
    """Return the platforms of the image that the store has under *reference*, when *platform* is not one of them."""
    try:
        _named(reference, platform, store)
    except OtherPlatform as error:
        return error.present
    except OciError:
        pass
    return ()


def _named(reference: str, platform: Platform | None, store: Store) -> Image | None:
    """Return the image of the store, None when it has none of that name. Raises OciError."""
    descriptor = _descriptor(reference, store)
    return None if descriptor is None else read_image(store.blobs, descriptor, platform)


def _descriptor(reference: str, store: Store) -> Descriptor | None:
    """Return what the store has under *reference*, a name or a name with a digest."""
    from pybuild.grammar.reference import parse_reference

    descriptor = store.layout.resolve(reference)
    digest = parse_reference(reference).digest if descriptor is None and "@" in reference else None
    if digest is not None and store.blobs.exists(Digest.parse(digest)):
        return _describe(Digest.parse(digest), store)
    return descriptor


def _ask(reference: str, platform: Platform, store: Store, step: RunningStep) -> Image:
    from pybuild.builder.oci.registry.registry import open_registry
    from pybuild.builder.store.registries import access_of
    from pybuild.grammar.reference import parse_reference

    name = parse_reference(reference)
    target = name.digest or name.tag or "latest"
    try:
        with open_registry(name.registry, access_of(store, step.say)) as registry:
            resolved = registry.resolve(name.repository, target, store.blobs, platform)
            for text in registry.warnings:
                step.say(f"warning: {text}")
    except OtherPlatform as error:
        step.fail(error)
        raise PullFailed(f"{reference}: {error}", hint=error.hint or f"it is for {', '.join(error.present)}") from error
    except ImageNotFound as error:
        step.fail(error)
        raise PullFailed(f"{reference}: not found", hint="use pybuild import or load first") from error
    except OciError as error:
        # The step shows the error alone; the message of the build also says which reference it is about.
        step.fail(error)
        hint = error.hint or "use pybuild import or load to build without a registry"
        raise PullFailed(f"failed to resolve source metadata for {reference}: {error}", hint=hint) from error
    if not _others(reference, platform, store):
        store.layout.tag(reference, resolved.pinned)
    return resolved.image


def base_layers(op: Base, store: Store) -> Layers:
    """Return the layers of a pinned base; their blobs may be missing from the store."""
    return image_layers(_image(op, store))


def _image(op: Base, store: Store) -> Image:
    return read_image(store.blobs, _describe(Digest.parse(op.manifest), store))


def _describe(digest: Digest, store: Store) -> Descriptor:
    """Return the descriptor of a document in the store, with the media type that the document names."""
    from pybuild.builder.oci.documents import describe

    with store.blobs.open(digest) as file:
        return describe(file.read(DOCUMENT_LIMIT), digest)


def pull_layers(
    op: Base,
    store: Store,
    progress: Callable[[str, int, int], None],
    tell: Callable[[str], None],
    cancel: threading.Event | None = None,
) -> None:
    """Fetch the layers of a base that are not in the store. An interrupted download is resumed by the next build.

    Raises:
        PullFailed: the registry refuses, lacks them, or cannot be reached.
        Cancelled: *cancel* was set.
    """
    from pybuild.builder.oci.registry.registry import open_registry
    from pybuild.builder.store.registries import access_of
    from pybuild.grammar.reference import parse_reference

    image = _image(op, store)
    missing = tuple(layer for layer in image.manifest.layers if not store.blobs.has(layer))
    if not missing:
        return
    if op.reference.startswith(_LAYOUT):
        from pybuild.builder.sources.oci_layout import fetch

        fetch(op.reference, missing, store)
        return
    name = parse_reference(op.reference)
    try:
        with open_registry(name.registry, access_of(store, tell)) as registry:
            registry.fetch(name.repository, missing, store.blobs, progress, cancel)
    except OciError as error:
        if cancel is not None and cancel.is_set():
            raise Cancelled("cancelled") from error
        raise PullFailed(f"failed to pull {op.reference}: {error}", hint=error.hint) from error
