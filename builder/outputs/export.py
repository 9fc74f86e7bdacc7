"""The end of a build: the image gets its form and its names in the store, and is written to the outputs."""

from collections.abc import Sequence
from pathlib import Path

from pybuild.builder.errors import RequestError
from pybuild.builder.image.assemble import PlatformImage
from pybuild.builder.oci import media
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.reporter import Reporter, RunningStep
from pybuild.builder.request import CacheSpec, Compression, Result, Shape, Stored
from pybuild.builder.request.checks import full_names
from pybuild.builder.store.store import Store
from pybuild.runtime.values import frozen


@frozen
class Exported:
    """An image in the store."""

    descriptor: Descriptor
    names: tuple[str, ...]


@frozen
class Outcome:
    """The result of a build: the images, and the names of the result in the store.

    Most programs need the ID and the names:

        outcome = pybuild.build(request, store)
        print(outcome.image_id, *outcome.names)
    """

    images: tuple[PlatformImage, ...]
    """One image, or with several platforms one for each."""
    index: Descriptor | None = None
    """The index that lists the images of several platforms."""
    descriptor: Descriptor
    """The index, or else the manifest of the one image, in the form in which the store has it."""
    names: tuple[str, ...]
    targets: tuple[tuple[str, "Outcome"], ...] = ()
    """The stage and the outcome of each target of a build of several; the other fields are those of the last one."""

    @property
    def image_id(self) -> Digest:
        """The image ID of the one image, or the digest of the index."""
        return self.images[0].image_id if self.index is None else self.index.digest

    @property
    def created(self) -> str:
        """The time of creation in RFC 3339; of several images, that of the newest."""
        return max(image.created for image in self.images)

    @property
    def platforms(self) -> tuple[PlatformImage, ...]:
        """The image for each platform of a multi-platform build, else none."""
        return () if self.index is None else self.images


def check_forms(result: Result, cache_to: Sequence[CacheSpec], context: Path | str, compression: Compression) -> None:
    """Raise RequestError when the requested form of the image cannot hold what the build is to write.

    The same for an output that would empty the build *context*.
    """
    if result.squash and any(spec.inline for spec in cache_to):
        raise RequestError(
            "--squash cannot be combined with --cache-to type=inline", hint="use type=registry or type=local"
        )
    for output in result.outputs:
        _check_emptied(output.emptied, context)
    for shape in (result.stored.shape, *(output.shape for output in result.outputs)):
        if not shape.docker:
            continue
        if result.annotations:
            raise RequestError("annotations need OCI media types", hint="leave out oci-mediatypes=false")
        if (shape.compression or compression).algorithm == "zstd":
            raise RequestError("compression=zstd needs OCI media types", hint="leave out oci-mediatypes=false")


def _check_emptied(directory: Path | None, context: Path | str) -> None:
    """Refuse to empty the root directory of the host, or a directory that contains the build context."""
    if directory is None:
        return
    dest = directory.resolve()
    if dest == Path("/") or (isinstance(context, Path) and context.resolve().is_relative_to(dest)):
        raise RequestError(f"mode=delete would remove the build context in {dest}", hint="use another directory")


def epoch_of(stored: Stored, epoch: int | None) -> int | None:
    """Return the time that an output names, else *epoch*. Raises RequestError when a time is needed but not given."""
    if stored.epoch is not None:
        return stored.epoch
    if stored.rewrite and epoch is None:
        hint = "set SOURCE_DATE_EPOCH, or give source-date-epoch=SECONDS"
        raise RequestError("rewrite-timestamp is specified, but no source-date-epoch was found", hint=hint)
    return epoch


def export(descriptor: Descriptor, result: Result, store: Store, step: RunningStep, *, epoch: int | None) -> Exported:
    """Give the image, or the index of several, the tags of *result* in the store, then write it to the outputs."""
    stored = result.stored
    kept = descriptor if stored.shape == Shape() else _shaped(store, descriptor, stored.shape)
    if kept.media_type in media.INDEXES:
        step.status(f"exporting manifest list {kept.digest}")
    names = full_names(result.tags)
    for name in names_of(names, stored, kept.digest) if stored.image else ():
        store.layout.tag(name, kept)
        step.status(f"naming to {name}")
    if stored.image and not names and not stored.dangling:
        store.layout.keep(kept)
    # An archive of several targets has all images, so it is written when all of them exist.
    outputs = tuple(item for item in result.outputs if not (result.targets and item.together))
    if outputs:
        from pybuild.builder.outputs.kinds import write
        from pybuild.builder.outputs.tree import TreeTimes

        write((names, descriptor), outputs, store, step.status, TreeTimes(epoch, nearest_second=True))
    return Exported(descriptor=kept, names=names)


def export_together(images: Sequence[Descriptor], result: Result, store: Store, reporter: Reporter) -> None:
    """Write the archives of a build of several targets: each has the image of every one."""
    archives = [output for output in result.outputs if output.together]
    if archives:
        from pybuild.builder.outputs.kinds import write_together

        named = [(full_names(target.tags), image) for target, image in zip(result.targets, images, strict=True)]
        with reporter.step("exporting all targets") as step:
            for output in archives:
                write_together(named, output, store, step.status)


def _shaped(store: Store, descriptor: Descriptor, shape: Shape) -> Descriptor:
    from pybuild.builder.outputs.kinds import shaped

    return shaped(store, descriptor, shape)


def names_of(names: tuple[str, ...], stored: Stored, digest: Digest) -> tuple[str, ...]:
    """Return the names of an image in the store: *names*, and those with its digest."""
    if not names:
        return (f"{_repository(stored.dangling)}@{digest}",) if stored.dangling else ()
    return (*names, *(f"{_repository(name)}@{digest}" for name in names if stored.canonical))


def _repository(name: str) -> str:
    directory, slash, last = name.rpartition("/")
    return f"{directory}{slash}{last.partition(':')[0]}"
