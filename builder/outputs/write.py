"""Write a finished image to every place that was asked for."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.errors import RequestError
from builder.machine import Machine
from builder.oci.image import read_image
from builder.oci.model import Descriptor
from builder.outputs.files import destination, sink
from builder.request import Output


def write(descriptor: Descriptor, names: tuple[str, ...], outputs: tuple[Output, ...], machine: Machine) -> None:
    """Write the image to each of *outputs*, in order. Its blobs must be in the store.

    A file or new folder appears when it is complete; an error leaves what was there before.
    """
    for output in outputs:
        match output.type:
            case "oci" | "docker":
                _write_archive(descriptor, names, output, machine)
            case "tar":
                from builder.outputs.tar import write_tree

                with _tree(descriptor, machine) as root_fd, destination(output.dest) as file:
                    write_tree(root_fd, sink(file))
            case "local":
                from builder.outputs.local import write_folder

                with _tree(descriptor, machine) as root_fd:
                    write_folder(root_fd, _folder(output))
            case _:
                raise RequestError(f"unknown output type {output.type!r}")


def _write_archive(descriptor: Descriptor, names: tuple[str, ...], output: Output, machine: Machine) -> None:
    if dict(output.options).get("tar", "true").lower() in {"false", "0"}:
        from builder.outputs.layout import write_layout

        write_layout(machine.blobs, descriptor, names, _folder(output))
        return
    from builder.oci.archive import save

    with destination(output.dest) as file:
        save(machine.blobs, [(names, descriptor)], sink(file))


def _folder(output: Output) -> Path:
    if output.dest is None:
        raise RequestError(f"output type {output.type} needs dest=FOLDER")
    if output.dest.exists() and not output.dest.is_dir():
        raise RequestError(f"{output.dest}: is not a folder")
    return output.dest


@contextmanager
def _tree(descriptor: Descriptor, machine: Machine) -> Iterator[int]:
    fd = machine.snapshots.open(machine.snapshot(read_image(machine.blobs, descriptor)))
    try:
        yield fd
    finally:
        os.close(fd)
