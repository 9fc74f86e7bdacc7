"""Images of the store: listing, naming, archives, and pruning."""

import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from pybuild.builder.api.cancel import Cancel
from pybuild.builder.api.errors import public_operation
from pybuild.builder.api.run import texts
from pybuild.builder.image.catalog import Listed, catalog, find
from pybuild.builder.oci.stored_index import disk_size
from pybuild.builder.oci.streams.reading import Readable
from pybuild.builder.platforms import given_platform
from pybuild.builder.progress import Progress, Warned, silent
from pybuild.builder.reporter import Reporter, RunningStep
from pybuild.builder.store.store import Store
from pybuild.builder.store.worker_calls import SendEvent, call_in_worker_if_unpacked
from pybuild.runtime.values import frozen


@frozen
class Image:
    """An image of a store.

    *name* is a full name, "" for an image that has none. *id* is the image ID, *digest* that of its manifest or index.
    *created* is RFC 3339, "" when it is unknown. *size* is the size of its blobs in the store, in bytes.

        old = [image.name for image in pybuild.list(store) if image.created < "2026"]
    """

    name: str
    id: str
    digest: str
    created: str
    size: int


def list(store: Store) -> tuple[Image, ...]:  # noqa: A001 - read as pybuild.list
    """Return the images of *store* in the order of their names, each once for every name.

        for image in pybuild.list(store):
            print(image.name, image.size)

    Raises:
        errors.StoreError: the store is closed.
    """
    with public_operation(), store.in_use():
        return tuple(_image(store, entry) for entry in catalog(store))


def _image(store: Store, entry: Listed) -> Image:
    return Image(
        name=entry.name,
        id=entry.id,
        digest=str(entry.descriptor.digest),
        created=entry.image.config.created if entry.image is not None else "",
        size=disk_size(store.blobs, entry.descriptor) if entry.image is not None else 0,
    )


def inspect(name: str, store: Store, *, platform: str | None = None) -> dict[str, Any]:
    """Return the details of the image *name*, as a document with the fields of ``docker inspect``.

    *name* is a name, a digest or the start of an ID. Of a multi-platform image it is the image for *platform*, else for
    this host, else the first one that the store has.

        pybuild.inspect("app:1", store)["Config"]["Env"]

    Raises:
        errors.ImageNotFound: it does not exist.
        errors.ImageError: it is damaged.
    """
    from pybuild.builder.image.document import image_document

    with public_operation(), store.in_use():
        wanted = given_platform(platform)
        return image_document(store, find(store, name), catalog(store), wanted)


def tag(source: str, target: str, store: Store) -> str:
    """Create the name *target* for the image *source*, or move it there, and return the full name.

        pybuild.tag("app:1", "registry.example/team/app:1", store)

    Raises:
        errors.ImageNotFound: *source* does not exist.
        errors.RequestError: *target* is not a valid name.
    """
    from pybuild.builder.request.checks import new_name

    with public_operation(), store.in_use():
        name = new_name(target)
        store.layout.tag(name, find(store, source).descriptor)
        return name


def load(
    source: Path | BinaryIO,
    store: Store,
    progress: Progress = silent,
    *,
    platform: str | None = None,
    cancel: Cancel | None = None,
) -> tuple[str, ...]:
    """Store the images of an archive of docker save, podman save or an OCI layout, plain or compressed.

    *source* is a file, a directory with the same content, or a stream, which is read once from its position. Returns
    the full names of the images, and the IDs of those without a name. Everything is verified before anything is named.
    *platform* selects one image of multi-platform images.

    *progress* gets one step, with a `StepStatus` of what is read of an archive; the size of a stream is unknown.

        names = pybuild.load(Path("app.tar"), store)

    Raises:
        errors.ImageError: it is not such an archive, or it is damaged.
        errors.HostError: it cannot be read.
        errors.Cancelled: *cancel* was used.
    """
    from pybuild.builder.transports.load import load_images

    with (
        public_operation(cancel),
        store.in_use(),
        Reporter(progress).step("loading images") as step,
        ExitStack() as stack,
    ):
        given = _watch(source, step, stack)
        return tuple(name for names in load_images(store, given, given_platform(platform)) for name in names)


def _watch(source: Path | BinaryIO, step: RunningStep, stack: ExitStack) -> Path | Readable:
    """Return *source* so that *step* reports what is read of it; *stack* closes a file. A directory stays as it is."""
    if not isinstance(source, Path):
        return _Watched(source, step.status, "archive", 0)
    if source.is_dir():
        return source
    file = stack.enter_context(source.open("rb"))
    return _Watched(file, step.status, source.name, os.fstat(file.fileno()).st_size)


class _Watched:
    """A stream that reports how much of it has been read."""

    def __init__(self, stream: BinaryIO, status: Callable[[str, int, int], None], name: str, size: int) -> None:
        self._stream, self._status, self._name, self._size, self._done = stream, status, name, size, 0

    def read(self, size: int = -1, /) -> bytes:
        """Return the next *size* bytes, or less at the end."""
        piece = self._stream.read(size)
        self._done += len(piece)
        self._status(self._name, self._done, self._size)
        return piece


def save(
    names: Iterable[str],
    target: Path | BinaryIO,
    store: Store,
    progress: Progress = silent,
    *,
    platform: str | None = None,
    cancel: Cancel | None = None,
) -> None:
    """Write images to one archive that Docker and OCI tools read, with layers compressed as they are stored.

    A name without a tag means all its tags; an image given by its ID has no name in the archive. A file *target*
    appears when it is complete; a stream is written from its position.

    *progress* gets one step, with a `StepStatus` for each blob, and a `Warned` for a multi-platform image of which the
    store has one platform only.

        pybuild.save(["app:1", "db:1"], Path("both.tar"), store)

    Raises:
        errors.ImageNotFound: an image does not exist.
        errors.HostError: the archive cannot be written.
        errors.Cancelled: *cancel* was used.
    """
    from pybuild.builder.oci.archive.save import save as write
    from pybuild.builder.outputs.files import destination, sink
    from pybuild.builder.transports.save import chosen

    def warn(text: str) -> None:
        progress(Warned(message=text))

    with public_operation(cancel), store.in_use(), Reporter(progress).step("saving images") as step:
        images = chosen(store, texts(names), given_platform(platform), warn)
        if isinstance(target, Path):
            with destination(target) as file:
                write(store.blobs, images, sink(file), status=step.status)
        else:
            write(store.blobs, images, target.write, status=step.status)


@frozen
class Pruned:
    """What `prune` removed: digests of *images* without a name, *records* of the build cache, *size* in bytes.

    Both numbers are 0 when everything was in use:

        removed = pybuild.prune(store)
        print(f"{removed.records} results of steps, {removed.size} bytes")
    """

    images: tuple[str, ...]
    records: int
    size: int


def prune(store: Store, *, everything: bool = False, images: bool = True, cancel: Cancel | None = None) -> Pruned:
    """Remove dangling images, unless *images* is False, and everything in the store that is not used.

    The build cache is kept within the limits of the store, those of ``config.toml`` or the default ones. With
    *everything* all of it goes, and the cache mounts, so that the next build runs every step again. What a running
    build uses stays.

        pybuild.prune(store, everything=True)  # the next build runs every step

    Raises:
        errors.RequestError: ``config.toml`` is wrong.
        errors.StoreError: the store cannot be written.
        errors.Cancelled: *cancel* was used while waiting for others.
    """
    with public_operation(cancel):
        return call_in_worker_if_unpacked(_prune, store, silent, everything=everything, images=images)


def _prune(store: Store, _send_event: SendEvent, *, everything: bool, images: bool) -> Pruned:
    from pybuild.builder.prune import gc
    from pybuild.builder.prune.eviction import evict
    from pybuild.builder.prune.policy import Policy, limits

    wanted = Policy() if everything else limits(store.root)
    with store.collecting():
        unnamed = gc.drop_unnamed(store) if images else []
        evicted = gc.Freed() if wanted.is_empty else evict(store, wanted)
        freed = gc.collect(store, everything=everything)
        freed.add(evicted)
    return Pruned(images=tuple(unnamed), records=freed.records, size=freed.size)
