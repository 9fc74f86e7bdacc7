"""Write a finished image to every place that was asked for."""

from collections.abc import Callable, Sequence
from pathlib import Path

from pybuild.builder.errors import RequestError
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.outputs.files import destination, sink
from pybuild.builder.outputs.platforms import open_trees
from pybuild.builder.request import Output, Shape
from pybuild.builder.store.store import Store

Named = tuple[tuple[str, ...], Descriptor]
"""An image and its names, spelled in full."""


def _no_status(_what: str, _current: int = 0, _total: int = 0) -> None:
    """Nobody looks."""


def write(
    descriptor: Descriptor,
    names: tuple[str, ...],
    outputs: tuple[Output, ...],
    store: Store,
    status: Callable[..., None] = _no_status,
    *,
    epoch: int | None = None,
    nearest_second: bool = False,
) -> None:
    """Write the image to each of *outputs*, in order. Its blobs must be in the store.

    *status* is told how far a push is: (what, bytes done, bytes in all), or of what is done without the numbers.
    *epoch*, in seconds, is the time of all that is in a tree. With *nearest_second* times are rounded in a tar archive
    of a tree, as BuildKit's exporter does it, and not cut to whole seconds, as docker export does.
    A file or new folder appears when it is complete; an error leaves what was there before.
    """
    for output in outputs:
        match output.type:
            case "oci" | "docker":
                write_archive([(names, descriptor)], output, store)
            case "tar":
                from pybuild.builder.outputs.tar import write_trees

                with open_trees(descriptor, output, store) as trees, destination(output.dest) as file:
                    write_trees(trees, sink(file), epoch, nearest_second=nearest_second)
            case "local":
                from pybuild.builder.outputs.local import replace_content, write_folder

                put = replace_content if dict(output.options).get("mode") == "delete" else write_folder
                with open_trees(descriptor, output, store) as trees:
                    put(trees, _folder(output), epoch)
            case "registry":
                _push(shaped(store, descriptor, output.shape), names, output, store, status)
            case _:
                raise RequestError(f"unknown output type {output.type!r}")


def shaped(store: Store, descriptor: Descriptor, shape: Shape) -> Descriptor:
    """Return the image in this *shape*, which is in the store from then on."""
    if not shape.docker and shape.compression is None:
        return descriptor
    from pybuild.builder.oci.convert import Form, convert

    if shape.compression is None:
        return convert(store.blobs, descriptor, Form(docker=shape.docker))
    form = Form(docker=shape.docker, algorithm=shape.compression.algorithm, level=shape.compression.level)
    return convert(store.blobs, descriptor, form)


def _push(
    descriptor: Descriptor, names: tuple[str, ...], output: Output, store: Store, status: Callable[..., None]
) -> None:
    from pybuild.builder.outputs.registry import Watch, push
    from pybuild.builder.sources.registry_access import access_of

    by_digest = output.flag("push-by-digest")
    access = access_of(store, status, insecure=output.flag("registry.insecure"))
    push(store, descriptor, names, Watch(status=status), access=access, by_digest=by_digest)
    for name in names:
        status(f"pushing manifest for {name}@{descriptor.digest}")


def write_archive(images: Sequence[Named], output: Output, store: Store) -> None:
    """Write (names, descriptor) of each of *images* to the one archive or layout that *output* is."""
    images = [(names, shaped(store, descriptor, output.shape)) for names, descriptor in images]
    if not output.flag("tar", default=True):
        from pybuild.builder.outputs.layout import write_layout

        for names, descriptor in images:
            write_layout(store.blobs, descriptor, names, _folder(output))
        return
    from pybuild.builder.oci.archive.save import save

    with destination(output.dest) as file:
        save(store.blobs, images, sink(file))


def _folder(output: Output) -> Path:
    if output.dest is None:
        raise RequestError(f"output type {output.type} needs dest=FOLDER")
    if output.dest.exists() and not output.dest.is_dir():
        raise RequestError(f"{output.dest}: is not a folder")
    return output.dest
