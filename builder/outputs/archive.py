"""Images as one archive, or as an OCI image layout in a directory: what ``type=oci`` and ``type=docker`` share."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

from pybuild.builder.errors import RequestError
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.outputs.files import check_directory, destination, sink
from pybuild.builder.outputs.options import OutputOptions
from pybuild.builder.request import Output, Shape, checks
from pybuild.builder.store.store import Store
from pybuild.runtime.values import frozen

Named = tuple[tuple[str, ...], Descriptor]
"""The full names of an image, and the descriptor of its manifest or index."""


@frozen
class ArchiveOutput(Output):
    """The archive *dest*, None being standard output, or with *layout* a directory that it is added to."""

    together: ClassVar[bool] = True

    dest: Path | None = None
    layout: bool = False
    shape: Shape = Shape()

    def __post_init__(self) -> None:
        checks.types(self)
        if self.layout and self.dest is None:
            raise RequestError("a layout needs dest=DIR")

    @property
    def file(self) -> Path | None:
        """The archive."""
        return None if self.layout else self.dest

    @property
    def streams(self) -> bool:
        """Whether it goes to standard output."""
        return self.dest is None

    @classmethod
    def parse(cls, options: OutputOptions) -> Self:
        """Return the output that *options* ask for. Raises RequestError."""
        return cls(dest=options.dest(), layout=_is_layout(options))

    def write(self, images: Sequence[Named], store: Store) -> None:
        """Write *images*, which have its shape, to the one archive, or add them to the layout."""
        if not self.layout or self.dest is None:
            from pybuild.builder.oci.archive.save import save

            with destination(self.dest) as file:
                save(store.blobs, images, sink(file))
            return
        from pybuild.builder.outputs.layout import write_layout

        check_directory(self.dest)
        for names, descriptor in images:
            write_layout(store.blobs, descriptor, names, self.dest)


def _is_layout(options: OutputOptions) -> bool:
    """Return whether ``tar=false`` asks for a layout. Raises RequestError when there is no directory for it."""
    layout = not options.flag("tar", default=True)
    if layout and options.dest() is None:
        options.refuse_layout()
    return layout
