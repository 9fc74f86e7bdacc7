"""``type=oci``: an image, or an index with all its images, as an archive or a layout."""

from pybuild.builder.outputs.archive import ArchiveOutput
from pybuild.runtime.values import frozen


@frozen
class OciOutput(ArchiveOutput):
    """An archive or a layout with OCI's media types, unless its shape says otherwise."""
