"""``type=docker``: an image as an archive for ``docker load``. Without ``dest`` it is loaded: see `load.py`."""

from typing import ClassVar

from pybuild.builder.outputs.archive import ArchiveOutput
from pybuild.runtime.values import frozen


@frozen
class DockerOutput(ArchiveOutput):
    """An archive or a layout of one image, in which Docker's media types are the default."""

    one_platform: ClassVar[str] = "docker exporter does not currently support exporting manifest lists"
