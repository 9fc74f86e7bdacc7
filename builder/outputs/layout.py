"""An image as an OCI image layout in a folder."""

from contextlib import suppress
from pathlib import Path

from builder.oci.blobs import BlobStore
from builder.oci.image import read_image
from builder.oci.layout import Layout
from builder.oci.model import Descriptor


def write_layout(blobs: BlobStore, descriptor: Descriptor, names: tuple[str, ...], dest: Path) -> None:
    """Add the image to the layout in *dest*, making it when it is not there. It is listed when it is complete."""
    dest.mkdir(parents=True, exist_ok=True)
    image = read_image(blobs, descriptor)
    there = BlobStore(dest)
    for blob in (*image.manifest.layers, image.manifest.config, image.descriptor):
        if not there.has(blob):
            with blobs.open(blob) as content:
                there.put_stream(content, blob, blob.media_type)
    layout = Layout(dest)
    for name in names:
        layout.tag(name, image.descriptor)
    if not names:
        layout.keep(image.descriptor)
    with suppress(OSError):
        (dest / "tmp").rmdir()
