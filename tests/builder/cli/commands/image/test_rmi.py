from pybuild.builder.oci.digest import Digest
from pybuild.builder.store.cache import BuiltLayer, Layers
from pybuild.builder.store.schema import VERSION
from tests.builder.cli.conftest import BASE, Shop
from tests.helpers.images import AMD64, ARM64, tiny_image, tiny_index


def test_taking_one_of_two_names_keeps_the_image(shop: Shop) -> None:
    shop.image("tiny:1", "tiny:2")
    assert shop.run("rmi", "tiny:1").lines == ["Untagged: tiny:1"]
    assert shop.names() == ["docker.io/library/tiny:2"]


def test_with_its_last_name_an_image_and_its_blobs_go(shop: Shop) -> None:
    image = shop.image("tiny:1")
    assert shop.run("rmi", "tiny:1").lines == ["Untagged: tiny:1", f"Deleted: {image.id}"]
    assert list(shop.store.blobs.digests()) == []


def test_blobs_that_another_image_or_the_cache_needs_stay(shop: Shop) -> None:
    shop.image("tiny:1")
    other = shop.image("other:1", layers=(BASE, {"more": b""}))
    shop.run("rmi", "tiny:1")
    assert shop.run("inspect", "other:1").code == 0
    layer = other.manifest.layers[1]
    record = BuiltLayer(other.config.diff_ids[1], layer.digest, layer.size, layer.media_type)
    shop.store.cache.put_record(Digest.of(b"key"), Layers([record]))
    shop.run("rmi", "other:1")
    assert list(shop.store.blobs.digests()) == [layer.digest]


def test_an_id_stands_for_an_image_and_several_names_need_force(shop: Shop) -> None:
    image = shop.image("tiny:1", "tiny:2")
    refused = shop.run("rmi", image.id.hex[:12])
    assert refused.code == 1
    assert "(must be forced) - image is referenced in multiple repositories" in refused.err
    assert "tiny:1, tiny:2" in refused.err
    assert shop.run("rmi", "-f", image.id.hex[:12]).lines == [
        "Untagged: tiny:1",
        "Untagged: tiny:2",
        f"Deleted: {image.id}",
    ]


def test_an_image_without_a_name_is_removed_by_its_id(shop: Shop) -> None:
    image = shop.image()
    assert shop.run("rmi", str(image.id)).lines == [f"Deleted: {image.id}"]
    assert shop.store.layout.entries() == ()


def test_a_name_that_is_not_there_fails_and_the_others_are_removed(shop: Shop) -> None:
    shop.image("tiny:1")
    result = shop.run("rmi", "nope", "tiny:1")
    assert result.code == 1
    assert "No such image: nope" in result.err
    assert shop.names() == []


def test_blobs_can_be_left_to_the_next_prune(shop: Shop) -> None:
    shop.image("tiny:1")
    shop.run("rmi", "--no-prune", "tiny:1")
    assert len(list(shop.store.blobs.digests())) == 3


def test_with_force_it_is_no_failure_that_there_is_no_such_image(shop: Shop) -> None:
    result = shop.run("rmi", "-f", "nope")
    assert (result.code, result.err.splitlines()[0]) == (0, "ERROR: No such image: nope:latest")


def test_the_image_for_one_platform_is_taken_out_of_an_index(shop: Shop) -> None:
    here, there = (tiny_image(shop.store.blobs, {"x": b""}, platform=platform) for platform in (AMD64, ARM64))
    shop.store.layout.tag("docker.io/library/multi:1", tiny_index(shop.store.blobs, here, there))
    result = shop.run("rmi", "--platform", "linux/arm64", "multi:1")
    assert (result.code, result.lines) == (0, [f"Deleted: {there.descriptor.digest}"])
    assert not shop.store.blobs.exists(there.id)
    assert shop.run("inspect", "-f", "{{.Architecture}}", "multi:1").out == "amd64\n"
    assert shop.run("rmi", "--platform", "linux/s390x", "multi:1").code == 1
    assert shop.run("rmi", "--platform", "linux/amd64", "multi:1").lines[0] == "Untagged: multi:1"
    assert list(shop.store.blobs.digests()) == []


def test_an_image_for_another_platform_is_not_removed(shop: Shop) -> None:
    shop.image("tiny:1")
    assert shop.run("rmi", "--platform", "linux/arm64", "tiny:1").code == 1
    assert shop.names() == ["docker.io/library/tiny:1"]


def test_nothing_is_removed_from_a_store_of_a_newer_pybuild(shop: Shop) -> None:
    shop.image("tiny:1")
    shop.store.database.run(f"PRAGMA user_version={VERSION + 1}")
    shop.store.database.close()
    refused = shop.run("rmi", "tiny:1")
    assert (refused.code, refused.out) == (3, "")
    assert "a newer pybuild made this store" in refused.err
    assert shop.names() == ["docker.io/library/tiny:1"]
