"""The kinds of outputs, each in a module of its own: parsing a ``-o``, and writing to it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import assert_never

from pybuild.builder.errors import RequestError
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.outputs.archive import ArchiveOutput, Named
from pybuild.builder.outputs.docker import DockerOutput
from pybuild.builder.outputs.image import ImageOutput, parse_image
from pybuild.builder.outputs.load import LoadOutput, parse_docker
from pybuild.builder.outputs.local import LocalOutput
from pybuild.builder.outputs.oci import OciOutput
from pybuild.builder.outputs.options import OutputOptions
from pybuild.builder.outputs.registry import RegistryOutput
from pybuild.builder.outputs.tar import TarOutput
from pybuild.builder.outputs.tree import OWN_TIMES, TreeTimes
from pybuild.builder.progress import Progress, silent
from pybuild.builder.request import Output, Shape
from pybuild.builder.store.store import Store
from pybuild.builder.store.worker_calls import call_in_worker

__all__ = [
    "DockerOutput",
    "ImageOutput",
    "LoadOutput",
    "LocalOutput",
    "OciOutput",
    "RegistryOutput",
    "TarOutput",
]
"""The kinds, which programs that embed pybuild find in `pybuild.request`."""

Kind = LocalOutput | TarOutput | OciOutput | DockerOutput | LoadOutput | RegistryOutput | ImageOutput

_PARSERS: Mapping[str, Callable[[OutputOptions], Kind]] = {
    "oci": OciOutput.parse,
    "docker": parse_docker,
    "tar": TarOutput.parse,
    "local": LocalOutput.parse,
    "registry": RegistryOutput.parse,
    "image": parse_image,
    "cacheonly": ImageOutput.parse,
}
_UNLISTED = {"cacheonly"}
"""Types for users of BuildKit: here they are another name of one of the others."""


def parse(options: OutputOptions) -> Kind:
    """Return the output that *options* ask for. Raises RequestError."""
    if options.type not in _PARSERS:
        *first, last = (name for name in _PARSERS if name not in _UNLISTED)
        raise RequestError(f"unknown --output type {options.type!r}", hint=f"use {', '.join(first)} or {last}")
    found = _PARSERS[options.type](options)
    if options.flag("push") and not found.pushes:
        raise RequestError(f"--output type={options.type} cannot push", hint="use type=registry")
    mode = options.text("mode", "copy")
    if mode != "copy" and not isinstance(found, LocalOutput):
        raise RequestError(f"--output type={options.type} has no mode={mode}", hint="type=local has copy and delete")
    return found


def with_shape(output: Kind, shape: Shape) -> Kind:
    """Return *output* with this shape, if it writes images."""
    return output if isinstance(output, LocalOutput | TarOutput) else replace(output, shape=shape)


def write(
    image: Named,
    outputs: Iterable[Output],
    store: Store,
    status: Callable[..., None] = lambda _what, _current=0, _total=0: None,
    times: TreeTimes = OWN_TIMES,
) -> None:
    """Write *image* to each of *outputs*, in order. Its blobs must be in the store.

    *status* gets the progress of a push: (what, bytes done, bytes in all), or without numbers what is done.
    A file or new directory appears when it is complete; an error leaves what was there before.
    """
    names, descriptor = image
    for output in map(_known, outputs):
        match output:
            case OciOutput() | DockerOutput() | LoadOutput():
                write_together([image], output, store, status)
            case TarOutput() | LocalOutput():
                call_in_worker(_write_tree, store, silent, output, descriptor, times)
            case RegistryOutput():
                output.write(shaped(store, descriptor, output.shape), names, store, status)
            case ImageOutput():
                pass
            case _:
                assert_never(output)


def _write_tree(
    store: Store, _progress: Progress, output: TarOutput | LocalOutput, descriptor: Descriptor, times: TreeTimes
) -> None:
    with store.in_use():
        output.write(descriptor, store, times)


def write_together(images: Sequence[Named], output: Output, store: Store, status: Callable[..., None]) -> None:
    """Write all *images* to an output that holds several: an archive, a layout, an engine. *status* as for `write`."""
    shapes = [(names, shaped(store, descriptor, output.shape)) for names, descriptor in images]
    if isinstance(output, ArchiveOutput):
        output.write(shapes, store)
    elif isinstance(output, LoadOutput):
        output.write(shapes, store, status)


def shaped(store: Store, descriptor: Descriptor, shape: Shape) -> Descriptor:
    """Return the image in this *shape*, which is in the store from then on."""
    if not shape.docker and shape.compression is None:
        return descriptor
    from pybuild.builder.oci.convert import Form, convert

    if shape.compression is None:
        return convert(store.blobs, descriptor, Form(docker=shape.docker))
    form = Form(docker=shape.docker, algorithm=shape.compression.algorithm, level=shape.compression.level)
    return convert(store.blobs, descriptor, form)


def _known(output: Output) -> Kind:
    if not isinstance(output, Kind):
        raise TypeError(f"{type(output).__name__} is not a kind of output that builder.outputs.kinds lists")
    return output
