"""``--load``, and ``type=docker`` without ``dest``: the image is loaded into Docker or podman of this machine."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from pybuild.builder.outputs.archive import Named
from pybuild.builder.outputs.docker import DockerOutput
from pybuild.builder.outputs.options import OutputOptions
from pybuild.builder.request import Output, Shape
from pybuild.builder.store.store import Store
from pybuild.runtime.values import frozen


@frozen
class LoadOutput(Output):
    """An output into a container engine: the one of Docker's *context*; with "" `builder.outputs.engines` finds one."""

    together: ClassVar[bool] = True
    one_platform: ClassVar[str] = DockerOutput.one_platform

    context: str = ""
    shape: Shape = Shape()

    def check(self) -> None:
        """Raise LoadFailed when there is no engine."""
        from pybuild.builder.outputs.engines.choose import find_engine

        find_engine(self.context)

    def write(self, images: Sequence[Named], store: Store, status: Callable[..., None]) -> None:
        """Load *images*, which have its shape. Raises LoadFailed."""
        # Imported here: an HTTP client, which few builds need.
        from pybuild.builder.outputs.engines.choose import find_engine

        engine = find_engine(self.context)
        engine.load(images, store, status)
        status(f"loading to {engine.name}", 0, 0)


def parse_docker(options: OutputOptions) -> DockerOutput | LoadOutput:
    """Return the output of ``type=docker``: an archive when there is a file for it. Raises RequestError."""
    context = options.text("context")
    return DockerOutput.parse(options) if options.text("dest") else LoadOutput(context=context)
