"""Image archives: `load` reads every kind, `save` writes one that Docker and OCI tools read."""

from pybuild.builder.oci.archive.load import Loaded, load
from pybuild.builder.oci.archive.save import save

__all__ = ["Loaded", "load", "save"]
