"""An image for two platforms in a store."""

from pybuild.builder.oci.image import Image
from tests.builder.cli.conftest import Shop
from tests.helpers.images import AMD64, ARM64, tiny_image, tiny_index


def multi(shop: Shop) -> list[Image]:
    """Add an index for two platforms under the name ``multi:1``, and return its images."""
    images = [tiny_image(shop.store.blobs, {"x": p.architecture.encode()}, platform=p) for p in (AMD64, ARM64)]
    shop.store.layout.tag("docker.io/library/multi:1", tiny_index(shop.store.blobs, *images))
    return images
