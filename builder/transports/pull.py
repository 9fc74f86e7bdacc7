"""Pulling an image from its registry into the store."""

from collections.abc import Callable, Sequence

from pybuild.builder.errors import PullFailed
from pybuild.builder.oci.errors import OciError
from pybuild.builder.oci.image import check_platform
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.oci.registry.registry import Registry
from pybuild.builder.oci.registry.transfer.remote import TransferProgress
from pybuild.builder.store.store import Store
from pybuild.builder.transports.source import Choice
from pybuild.grammar.reference import DEFAULT_TAG, Reference
from pybuild.runtime.values import frozen

PRESENT, COMPLETE = "Already exists", "Pull complete"


@frozen
class Pulling:
    """The callbacks of a pull: the progress of each blob, and at its end `PRESENT` or `COMPLETE`."""

    status: TransferProgress
    ended: Callable[[Descriptor, str], None] = lambda _blob, _outcome: None


@frozen
class Pulled:
    """The pulled image, and whether it, or any part of it, is *newer* than what the store had."""

    descriptor: Descriptor
    newer: bool


def pull(
    store: Store,
    registry: Registry,
    reference: Reference,
    choice: Choice,
    reporting: Pulling,
) -> Pulled:
    """Fetch the image, or all of the index, that *choice* says, and give it its name in the store.

    Blobs in the store are not fetched again; an interrupted download is resumed.

    Raises:
        PullFailed: the registry lacks it, refuses, or cannot be reached.
    """
    name, target = str(reference), reference.digest or reference.tag or DEFAULT_TAG
    before = store.layout.resolve(name)
    try:
        if choice.everything:
            pinned, blobs = registry.resolve_all(reference.repository, target, store.blobs)
        else:
            found = registry.resolve(reference.repository, target, store.blobs, choice.platform)
            if choice.platform is not None:
                check_platform(found.image, choice.platform)
            pinned, blobs = found.pinned, found.image.manifest.layers
        fetched = _fetch(store, registry, reference, blobs, reporting)
    except OciError as error:
        raise PullFailed(f"failed to pull {reference.familiar()}: {error}", hint=error.hint) from error
    # Last, so that a pull that fails leaves the name with the image that it had.
    store.layout.tag(name, pinned)
    return Pulled(descriptor=pinned, newer=fetched or before is None or before.digest != pinned.digest)


def _fetch(
    store: Store, registry: Registry, reference: Reference, wanted: Sequence[Descriptor], reporting: Pulling
) -> bool:
    """Fetch missing blobs; return whether there were any."""
    each = {blob.digest: blob for blob in wanted}
    missing = [blob for blob in each.values() if not store.blobs.has(blob)]
    for blob in each.values():
        if blob not in missing:
            reporting.ended(blob, PRESENT)
    registry.fetch(reference.repository, missing, store.blobs, reporting.status)
    for blob in missing:
        reporting.ended(blob, COMPLETE)
    return bool(missing)
