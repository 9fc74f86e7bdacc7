"""Push, pull and copy images."""

from collections.abc import Iterator
from contextlib import contextmanager

from pybuild.builder.api.cancel import Cancel
from pybuild.builder.api.errors import public_operation
from pybuild.builder.image.catalog import find
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.registry.access import Access
from pybuild.builder.oci.registry.auth.tokens import Credentials
from pybuild.builder.platforms import given_platform
from pybuild.builder.progress import Progress, silent
from pybuild.builder.reporter import Reporter, RunningStep
from pybuild.builder.store.registries import RegistryAccess, access_of
from pybuild.builder.store.store import Store
from pybuild.grammar.reference import parse_reference
from pybuild.runtime.values import replace


def _access(store: Store, given: RegistryAccess | None, step: RunningStep) -> Access:
    """Return how to access a registry: as *store* does, except for what *given* sets."""
    common = access_of(store, step.say)
    if given is None:
        return common
    return replace(
        common,
        credentials=Credentials(given.username, given.password) if given.username else None,
        auth_file=given.auth_file or common.auth_file,
        certificates=given.certificates,
        verify=given.verify and common.verify,
    )


@contextmanager
def _transfer(name: str, store: Store, progress: Progress, cancel: Cancel | None) -> Iterator[RunningStep]:
    """Keep *store* in use for a transfer, which is reported as one step and ended by *cancel*."""
    with public_operation(cancel), store.in_use(), Reporter(progress).step(name) as step:
        yield step


def push(
    name: str,
    store: Store,
    progress: Progress = silent,
    *,
    platform: str | None = None,
    registry: RegistryAccess | None = None,
    cancel: Cancel | None = None,
) -> Digest:
    """Push the image *name* to the registry in its name, and return the digest of its manifest.

    Layers that the registry has are not uploaded again. The tag appears when the upload is complete. Of a
    multi-platform image the whole index is pushed if the store has all its images, else the one image that it has;
    *platform* selects one image. Credentials and certificates come from the configuration files of Docker and Podman,
    unless *registry* sets them.

    *progress* gets one step, with a `StepStatus` for each blob.

        pybuild.push("registry.example/app:1", store)

    Raises:
        errors.ImageNotFound: the store has no such image.
        errors.PushFailed: the registry refuses it or cannot be reached.
        errors.RequestError: *name* is not a name with a tag.
        errors.Cancelled: *cancel* was used.
    """
    from pybuild.builder.outputs.push import Watch, pushable, selected
    from pybuild.builder.outputs.push import push as send

    with _transfer(f"pushing {name}", store, progress, cancel) as step:
        reference = pushable(name)
        chosen = selected(store, find(store, str(reference)).descriptor, given_platform(platform))
        send(store, chosen, [str(reference)], Watch(status=step.status), access=_access(store, registry, step))
        return chosen.digest


def pull(
    name: str,
    store: Store,
    progress: Progress = silent,
    *,
    platform: str | None = None,
    all_platforms: bool = False,
    registry: RegistryAccess | None = None,
    cancel: Cancel | None = None,
) -> Digest:
    """Pull the image *name* into the store, and return its digest.

    The default is the image for this host's platform; *platform* selects another one, and *all_platforms* the whole
    index. Layers that the store has are not downloaded again, and interrupted downloads are resumed. *registry* is as
    in `push`.

    *progress* gets one step, with a `StepStatus` for each blob that is downloaded.

        digest = pybuild.pull("docker.io/library/debian:12", store, platform="linux/arm64")

    Raises:
        errors.PullFailed: the registry lacks it, refuses, or cannot be reached.
        errors.RequestError: *name* is not a valid name.
        errors.Cancelled: *cancel* was used.
    """
    from pybuild.builder.oci.registry.registry import open_registry
    from pybuild.builder.transports.pull import Pulling
    from pybuild.builder.transports.pull import pull as fetch
    from pybuild.builder.transports.source import Choice

    with _transfer(f"pulling {name}", store, progress, cancel) as step:
        reference = parse_reference(name)
        choice = Choice(everything=all_platforms, platform=given_platform(platform))
        with open_registry(reference.registry, _access(store, registry, step)) as opened:
            return fetch(store, opened, reference, choice, Pulling(status=step.status)).descriptor.digest


def copy(
    source: str,
    target: str,
    store: Store,
    progress: Progress = silent,
    *,
    platform: str | None = None,
    all_platforms: bool = False,
    source_registry: RegistryAccess | None = None,
    target_registry: RegistryAccess | None = None,
    cancel: Cancel | None = None,
) -> Digest:
    """Copy an image unchanged from *source* to *target*, and return its digest there.

    Both are names in the store, or ``docker://NAME``, ``oci:DIRECTORY[:NAME]``, ``oci-archive:FILE[:NAME]`` or
    ``docker-archive:FILE[:NAME]``. Of an index the image for *platform* is copied, by default that for this host; with
    *all_platforms* the index and all its images are. A copy between registries leaves nothing in the store. Access to
    each registry is as in `push`.

        pybuild.copy("docker://debian:12", "oci:mirror:debian-12", store, all_platforms=True)

    Raises:
        errors.PullFailed, errors.PushFailed: a registry failed.
        errors.ImageError: the source is incomplete or damaged.
        errors.RequestError: *source* or *target* is invalid.
        errors.Cancelled: *cancel* was used.
    """
    from pybuild.builder.transports.copy import copy as copy_image
    from pybuild.builder.transports.places import parse_place
    from pybuild.builder.transports.source import Choice, ReadOptions
    from pybuild.builder.transports.target import WriteOptions

    with _transfer(f"copying {source} to {target}", store, progress, cancel) as step:
        choice = Choice(everything=all_platforms, platform=given_platform(platform))
        before, after = (_access(store, given, step) for given in (source_registry, target_registry))
        reading = ReadOptions(store=store, access=before, progress=step.status)
        writing = WriteOptions(store=store, access=after, progress=step.status)
        return copy_image(parse_place(source), parse_place(target), choice, reading, writing).digest
