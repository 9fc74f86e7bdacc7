"""Images as one archive, or as an OCI image layout in a directory: what ``type=oci`` and ``type=docker`` share."""

from collections.abc import Sequence
from pathlib import Path

from pybuild.builder.errors import RequestError
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.outputs.files import check_directory, destination, sink
from pybuild.builder.outputs.options import OutputOptions
from pybuild.builder.store.store import Store

Named = tuple[tuple[str, ...], Descriptor]
"""The full names of an image, and the descriptor of its manifest or index."""


def is_layout(options: OutputOptions) -> bool:
    """Return whether ``tar=false`` asks for a layout. Raises RequestError when there is no directory for it."""
    layout = not options.flag("tar", default=True)
    if layout and options.dest() is None:
        options.refuse_layout()
    return layout


def write_archive(images: Sequence[Named], dest: Path | None, store: Store, *, layout: bool) -> None:
    """Write *images* to the one archive *dest*, None being standard output, or add them to the *layout* there."""
    if not layout:
        from pybuild.builder.oci.archive.save import save

        with destination(dest) as file:
            save(store.blobs, images, sink(file))
        return
    from pybuild.builder.outputs.layout import write_layout

    if dest is None:
        raise RequestError("a layout needs dest=DIR")
    check_directory(dest)
    for names, descriptor in images:
        write_layout(store.blobs, descriptor, names, dest)
