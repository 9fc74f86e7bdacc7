"""``type=docker``: an image as an archive for ``docker load``. Without ``dest`` it is only in the store."""

from typing import ClassVar

from pybuild.builder.outputs.archive import ArchiveOutput
from pybuild.builder.outputs.image import ImageOutput
from pybuild.builder.outputs.options import OutputOptions
from pybuild.runtime.values import frozen


@frozen
class DockerOutput(ArchiveOutput):
    """An archive or a layout of one image, in which Docker's media types are the default."""

    one_platform: ClassVar[str] = "docker exporter does not currently support exporting manifest lists"


def parse_docker(options: OutputOptions) -> DockerOutput | ImageOutput:
    """Return the output that *options* ask for. Raises RequestError."""
    if not options.text("dest"):
        # Docker loads it into its daemon; the store plays that part here.
        return ImageOutput()
    return DockerOutput.parse(options)
