from pybuild.builder.image.catalog import catalog, find
from pybuild.builder.image.document import image_document
from tests.builder.cli.conftest import Shop


def test_a_document_names_the_image_in_every_way_that_it_has(shop: Shop) -> None:
    image = shop.image("one:1", "two:latest")
    document = image_document(shop.store, find(shop.store, str(image.id)), catalog(shop.store))
    digest = str(image.descriptor.digest)
    assert document["RepoTags"] == ["one:1", "two:latest"]
    assert document["RepoDigests"] == [f"one@{digest}", f"two@{digest}"]
    assert (document["Id"], document["Descriptor"]["digest"]) == (str(image.id), digest)
    assert document["Config"]["Volumes"] is None, "a member that the image lacks is there all the same"
