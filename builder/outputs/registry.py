"""``type=registry``: the image is pushed under its names."""

from collections.abc import Callable
from typing import ClassVar

from pybuild.builder.oci.model import Descriptor
from pybuild.builder.outputs.options import OutputOptions
from pybuild.builder.request import Output, Shape
from pybuild.builder.store.store import Store
from pybuild.runtime.values import frozen


@frozen
class RegistryOutput(Output):
    """The registries of the names. *by_digest*: without a tag; *insecure*: over http or with any certificate."""

    pushes: ClassVar[bool] = True

    shape: Shape = Shape()
    by_digest: bool = False
    insecure: bool = False

    @classmethod
    def parse(cls, options: OutputOptions) -> "RegistryOutput":
        """Return the output that *options* ask for."""
        return cls(by_digest=options.flag("push-by-digest"), insecure=options.flag("registry.insecure"))

    def write(self, descriptor: Descriptor, names: tuple[str, ...], store: Store, status: Callable[..., None]) -> None:
        """Push the image, which already has its shape. Raises PushFailed."""
        # Imported here: the registry client takes longer to import than everything else a build without a push loads.
        from pybuild.builder.outputs.push import Watch, push
        from pybuild.builder.store.registries import access_of

        access = access_of(store, status, insecure=self.insecure)
        push(store, descriptor, names, Watch(status=status), access=access, by_digest=self.by_digest)
        for name in names:
            status(f"pushing manifest for {name}@{descriptor.digest}")
