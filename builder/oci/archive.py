"""Image archives: `load` reads every kind, `save` writes one that Docker and OCI tools read."""

from builder.oci.archive_load import Loaded, load
from builder.oci.archive_save import save

__all__ = ["Loaded", "load", "save"]
