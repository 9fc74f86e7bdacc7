"""``type=image`` and ``type=cacheonly``: nothing is written besides the store."""

from pybuild.builder.outputs.options import OutputOptions
from pybuild.builder.outputs.registry import RegistryOutput
from pybuild.builder.request import Output, Shape
from pybuild.runtime.values import frozen


@frozen
class ImageOutput(Output):
    """The store, in which the image has this *shape*."""

    shape: Shape = Shape()

    @classmethod
    def parse(cls, options: OutputOptions) -> "ImageOutput":
        """Return the output that *options* ask for."""
        del options
        return cls()


def parse_image(options: OutputOptions) -> ImageOutput | RegistryOutput:
    """Return the output of ``type=image``: with ``push=true`` it goes to a registry as well."""
    return RegistryOutput.parse(options) if options.flag("push") else ImageOutput()
