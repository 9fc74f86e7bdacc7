"""``type=docker``: an image as an archive for ``docker load``. Without ``dest`` it is only in the store."""

from pathlib import Path
from typing import ClassVar

from pybuild.builder.outputs.archive import is_layout
from pybuild.builder.outputs.image import ImageOutput
from pybuild.builder.outputs.options import OutputOptions
from pybuild.builder.request import Output, Shape
from pybuild.runtime.values import frozen


@frozen
class DockerOutput(Output):
    """The archive *dest*, None being standard output, or with *layout* a directory that it is added to."""

    one_platform: ClassVar[str] = "docker exporter does not currently support exporting manifest lists"
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


def parse_docker(options: OutputOptions) -> DockerOutput | ImageOutput:
    """Return the output that *options* ask for. Raises RequestError."""
    if not options.text("dest"):
        # Docker loads it into its daemon; the store plays that part here.
        return ImageOutput()
    return DockerOutput(dest=options.dest(), layout=is_layout(options))
