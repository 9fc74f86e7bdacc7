"""An image as an OCI image layout in a folder."""

from contextlib import suppress
from pathlib import Path

from builder.oci.blobs import BlobStore
from builder.oci.image import reachable
from builder.oci.layout import Layout
from builder.oci.model import Descriptor


def write_layout(blobs: BlobStore, descriptor: Descriptor, names: tuple[str, ...], dest: Path) -> None:
    """Add the image, or an index with all its images, to the layout in *dest*, making it when it is not there.

    It is listed when it is complete.
    """
    dest.mkdir(parents=True, exist_ok=True)
    there = BlobStore(dest)
    for blob in reversed(reachable(blobs, descriptor)):
        if not there.has(blob):
            with blobs.open(blob) as content:
                there.put_stream(content, blob, blob.media_type)
    layout = Layout(dest)
    for name in names:
        layout.tag(name, descriptor)
    if not names:
        layout.keep(descriptor)
    with suppress(OSError):
        (dest / "tmp").rmdir()
