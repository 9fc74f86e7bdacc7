"""Base images: from references to pinned images, and their layers when something needs them.

A reference is looked up in the store first, then in its registry (``--pull`` changes that), with the mirrors and
credentials that this user has configured. An image from a registry is kept under its name, so the next build works
without a network. Only manifest and config are fetched here; layers are fetched when a step must read them or the image
is written.
"""

import threading
from collections.abc import Callable

from pybuild.builder.errors import BuildError, Cancelled, PullFailed
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import ImageNotFound, OciError
from pybuild.builder.oci.image import Image, read_image
from pybuild.builder.oci.json_text import DOCUMENT_LIMIT
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
            return _asked(reference, platform, store, step)

    return Pinned(reference=reference, image=_found(reference, platform, store, pulled, pull))


def _found(reference: str, platform: Platform, store: Store, pulled: Callable[[], Image], pull: str) -> Image:
    local = None if pull == "always" else stored(reference, platform, store)
    if pull == "newer" and local is not None:
        try:
            return pulled()
        except PullFailed:
            return local
    if pull == "never" and local is None:
        raise PullFailed(
            f"{reference}: not found in the store", hint="--pull=never asks no registry; use pybuild pull or load first"
        )
    return local or pulled()


def stored(reference: str, platform: Platform, store: Store) -> Image | None:
    """Return the image that the store, or a layout of the host, has under *reference* for *platform*."""
    from pybuild.grammar.reference import parse_reference

    if reference.startswith(_LAYOUT):
        from pybuild.builder.sources.oci_layout import resolve

        try:
            return resolve(reference, platform, store)
        except BuildError:
            return None
    descriptor = store.layout.resolve(reference)
    digest = parse_reference(reference).digest if descriptor is None and "@" in reference else None
    if digest is not None and store.blobs.exists(Digest.parse(digest)):
        descriptor = _describe(Digest.parse(digest), store)
    if descriptor is None:
        return None
    try:
        # Like Docker, an image without an index is used for any platform; the check InvalidBaseImagePlatform warns.
        return read_image(store.blobs, descriptor, platform if descriptor.media_type in INDEXES else None)
    except OciError:
        return None


def _asked(reference: str, platform: Platform, store: Store, step: RunningStep) -> Image:
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
    except ImageNotFound as error:
        step.fail(error)
        raise PullFailed(f"{reference}: not found", hint="use pybuild import or load first") from error
    except OciError as error:
        # What the message of the build adds to it is the name of the step.
        step.fail(error)
        hint = error.hint or "use pybuild import or load to build without a registry"
        raise PullFailed(f"failed to resolve source metadata for {reference}: {error}", hint=hint) from error
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
