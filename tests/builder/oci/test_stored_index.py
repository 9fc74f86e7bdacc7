from pathlib import Path

import pytest

from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.errors import ImageNotFound
from pybuild.builder.oci.model import Platform
from pybuild.builder.oci.stored_index import choose_present, disk_size, is_whole, listed_manifests, whole_or_present
from tests.helpers.images import AMD64, ARM64, tiny_image, tiny_index


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "store")


def test_an_index_is_whole_until_a_document_is_missing(blobs: BlobStore) -> None:
    images = [tiny_image(blobs, {"x": str(p).encode()}, platform=p) for p in (AMD64, ARM64)]
    index = tiny_index(blobs, *images)
    assert is_whole(blobs, index)
    assert whole_or_present(blobs, index) == index
    assert choose_present(blobs, index).digest == images[0].descriptor.digest
    blobs.remove(images[0].descriptor.digest)
    assert not is_whole(blobs, index)
    assert whole_or_present(blobs, index) == choose_present(blobs, index) == images[1].descriptor
    assert [entry.digest for entry in listed_manifests(blobs, index)] == [image.descriptor.digest for image in images]
    blobs.remove(images[1].descriptor.digest)
    with pytest.raises(ImageNotFound, match="no image of index"):
        choose_present(blobs, index)


def test_an_attestation_is_no_image(blobs: BlobStore) -> None:
    other = tiny_image(blobs, {"x": b""}, platform=Platform(os="unknown", architecture="unknown"))
    with pytest.raises(ImageNotFound):
        choose_present(blobs, tiny_index(blobs, other))


def test_what_images_share_counts_once(blobs: BlobStore) -> None:
    one, two = (tiny_image(blobs, {"shared": b"x"}, platform=p) for p in (AMD64, ARM64))
    index = tiny_index(blobs, one, two)
    assert disk_size(blobs, index) == sum(blobs.path(digest).stat().st_size for digest in blobs.digests())
    blobs.path(two.descriptor.digest).write_bytes(b"?" * two.descriptor.size)
    assert disk_size(blobs, index) == disk_size(blobs, one.descriptor) + index.size + two.descriptor.size
