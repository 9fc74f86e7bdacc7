import pytest

from pybuild.builder.image.catalog import by_digest, catalog, familiar, find, find_image
from pybuild.builder.oci.errors import ImageNotFound
from tests.builder.cli.conftest import Shop
from tests.helpers.images import AMD64, ARM64, tiny_image, tiny_index


def test_an_image_is_found_by_any_spelling_of_its_name(shop: Shop) -> None:
    image = shop.image("tiny:latest")
    for text in ("tiny", "tiny:latest", "library/tiny", "docker.io/library/tiny:latest"):
        found = find(shop.store, text)
        assert (found.descriptor.digest, found.name) == (image.descriptor.digest, "docker.io/library/tiny:latest")


def test_an_image_is_found_by_its_id_and_digests(shop: Shop) -> None:
    image = shop.image("tiny:latest")
    identity, digest = str(image.id), str(image.descriptor.digest)
    for text in (identity, identity[7:], identity[7:19], identity[:12], digest, f"tiny@{digest}"):
        assert find(shop.store, text).descriptor.digest == image.descriptor.digest
    with pytest.raises(ImageNotFound, match="No such image"):
        find(shop.store, f"other@{digest}")


def test_the_start_of_an_id_must_be_enough(shop: Shop) -> None:
    starts: set[str] = set()
    number = 0
    while (twice := shop.image(f"i{number}:1", layers=({f"f{number}": b""},)).id.hex[:2]) not in starts:
        starts.add(twice)
        number += 1
    with pytest.raises(ImageNotFound, match="more than one image"):
        find(shop.store, twice)


@pytest.mark.parametrize("text", ["nothing", "UPPER", "", "sha256:", "@", "../../etc", "a" * 300])
def test_what_names_nothing_is_not_found(shop: Shop, text: str) -> None:
    shop.image("tiny:latest")
    with pytest.raises(ImageNotFound, match="No such image"):
        find(shop.store, text)


def test_of_an_image_for_several_platforms_one_is_chosen(shop: Shop) -> None:
    images = [tiny_image(shop.store.blobs, {"x": b""}, platform=platform) for platform in (AMD64, ARM64)]
    shop.store.layout.tag("docker.io/library/multi:1", tiny_index(shop.store.blobs, *images))
    for image, platform in zip(images, (AMD64, ARM64), strict=True):
        assert find_image(shop.store, "multi:1", platform).id == image.id


def test_names_that_docker_would_not_take_are_shown_as_they_are(shop: Shop) -> None:
    image = shop.image()
    shop.store.layout.tag("Odd Name", image.descriptor)
    entries = [entry for entry in catalog(shop.store) if entry.name]
    assert [(entry.name, entry.reference) for entry in entries] == [("Odd Name", None)]
    assert familiar("Odd Name") == "Odd Name"
    assert by_digest(entries, str(image.id))[0].name == "Odd Name"
