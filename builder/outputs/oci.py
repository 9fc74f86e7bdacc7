"""``type=oci``: an image, or an index with all its images, as an archive or a layout."""

from pathlib import Path
from typing import ClassVar

from pybuild.builder.outputs.archive import is_layout
from pybuild.builder.outputs.options import OutputOptions
from pybuild.builder.request import Output, Shape
from pybuild.runtime.values import frozen


@frozen
class OciOutput(Output):
    """The archive *dest*, None being standard output, or with *layout* a directory that it is added to."""

    together: ClassVar[bool] = True

    dest: Path | None = None
    layout: bool = False
    shape: Shape = Shape()

    @property
    def file(self) -> Path | None:
        """The archive."""
        return None if self.layout else self.dest

    @property
    def streams(self) -> bool:
        """Whether it goes to standard output."""
        return self.dest is None

    @classmethod
    def parse(cls, options: OutputOptions) -> "OciOutput":
        """Return the output that *options* ask for. Raises RequestError."""
        return cls(dest=options.dest(), layout=is_layout(options))
