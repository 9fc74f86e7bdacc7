"""Images to and from registries, and between other places."""

from collections.abc import Iterator
from contextlib import contextmanager

from pybuild.builder.api.cancel import Cancel
from pybuild.builder.api.errors import door
from pybuild.builder.image.catalog import find
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.image import choose_manifest
from pybuild.builder.oci.present import whole_or_present
from pybuild.builder.platforms import parse_platform
from pybuild.builder.progress import Progress, silent
from pybuild.builder.reporter import Reporter, RunningStep
from pybuild.builder.sources.registry_access import access_of
from pybuild.builder.store.store import Store
from pybuild.grammar.reference import parse_reference


@contextmanager
def _transfer(name: str, store: Store, progress: Progress, cancel: Cancel | None) -> Iterator[RunningStep]:
    """Use *store* for a transfer that is reported as one step; *cancel* ends it."""
    with door(cancel), store.in_use(), Reporter(progress).step(name) as step:
        yield step


def push(
    name: str, store: Store, progress: Progress = silent, *, platform: str | None = None, cancel: Cancel | None = None
) -> Digest:
    """Upload the image *name* to the registry that its name begins with, and return the digest of its manifest.

    What the registry has already is not uploaded again, and the tag appears when all of the image is there. An image
    for several platforms is pushed as a whole when the store has all of it, else the one that it has; with *platform*
    that one. Credentials and certificates are those of Docker's and containers' files.

    *progress* gets one step, with a `StepStatus` for each blob.

    Raises:
        errors.ImageNotFound: the store has no such image.
        errors.PushFailed: the registry does not take it.
        errors.RequestError: *name* is no name with a tag.
        errors.Cancelled: *cancel* was used.
    """
    from pybuild.builder.errors import RequestError
    from pybuild.builder.outputs.push import Watch
    from pybuild.builder.outputs.push import push as send

    with _transfer(f"pushing {name}", store, progress, cancel) as step:
        reference = parse_reference(name)
        if reference.digest:
            raise RequestError("cannot push a digest reference", hint="push a tag")
        listed = find(store, str(reference)).descriptor
        wanted = parse_platform(platform) if platform else None
        chosen = choose_manifest(store.blobs, listed, wanted) if wanted else whole_or_present(store.blobs, listed)
        send(store, chosen, [str(reference)], Watch(status=step.status), access=access_of(store, step.say))
        return chosen.digest
