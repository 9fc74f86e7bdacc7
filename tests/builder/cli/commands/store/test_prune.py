import io

import pytest

from pybuild.builder.containers.volumes import Volumes
from pybuild.builder.oci.digest import Digest
from pybuild.builder.store.cache import BuiltLayer, Layers, image_layers
from tests.builder.cli.conftest import BASE, Shop
from tests.helpers.images import AMD64, ARM64, tiny_image, tiny_index


def blobs(shop: Shop) -> set[Digest]:
    return set(shop.store.blobs.digests())


def test_what_nothing_names_is_removed_and_named_images_stay(shop: Shop) -> None:
    kept = shop.image("tiny:1")
    gone = shop.image(layers=({"z": b"z"},))
    shop.store.blobs.put(b"stray", "text/plain")
    result = shop.run("prune", "-f")
    assert f"deleted: {gone.descriptor.digest}" in result.lines
    assert result.lines[-1].startswith("Total reclaimed space: ")
    assert blobs(shop) == {kept.descriptor.digest, kept.id, kept.manifest.layers[0].digest}
    assert shop.names() == ["docker.io/library/tiny:1"]
    assert shop.run("prune", "-f", "-q", "--volumes").lines == ["Total reclaimed space: 0B"]


def test_the_build_cache_stays_unless_all_is_asked_for(shop: Shop) -> None:
    image = shop.image(layers=(BASE, {"z": b"z"}))
    shop.store.cache.put_record(Digest.of(b"key"), image_layers(image))
    snapshot = shop.store.snapshot(image)
    assert "Deleted build cache records: 0" in shop.run("prune", "-f").lines
    assert {layer.digest for layer in image.manifest.layers} == blobs(shop)
    assert snapshot in shop.store.snapshots.names()
    assert "Deleted build cache records: 1" in shop.run("prune", "-f", "-a").lines
    assert blobs(shop) == set()
    assert shop.store.snapshots.names() == ()
    assert list(shop.store.cache.records()) == []


def test_snapshots_of_named_images_stay(shop: Shop) -> None:
    name = shop.store.snapshot(shop.image("tiny:1"))
    shop.store.snapshot(shop.image(layers=({"z": b"z"},)))
    shop.run("prune", "-f", "-a")
    assert shop.store.snapshots.names() == (name,)


def test_a_record_without_its_blobs_is_dropped(shop: Shop) -> None:
    lost = BuiltLayer(Digest.of(b"a"), Digest.of(b"b"), 1, "x")
    shop.store.cache.put_record(Digest.of(b"key"), Layers([lost]))
    assert "Deleted build cache records: 1" in shop.run("prune", "-f").lines


def test_an_index_of_which_only_one_platform_is_here_keeps_it(shop: Shop) -> None:
    here, there = (tiny_image(shop.store.blobs, {"x": b""}, platform=platform) for platform in (AMD64, ARM64))
    index = tiny_index(shop.store.blobs, here, there)
    shop.store.layout.tag("docker.io/library/multi:1", index)
    shop.store.blobs.remove(there.descriptor.digest)
    shop.store.blobs.remove(there.id)
    shop.run("prune", "-f", "-a")
    assert shop.run("images", "-q", "--no-trunc").lines == [str(here.id)]
    assert here.manifest.layers[0].digest in blobs(shop)
    shop.run("rmi", "multi:1")
    assert blobs(shop) == set()


@pytest.mark.parametrize(("answer", "left"), [("y\n", 0), ("n\n", 1), ("", 1)])
def test_without_force_it_asks_first(shop: Shop, monkeypatch: pytest.MonkeyPatch, answer: str, left: int) -> None:
    shop.store.blobs.put(b"stray", "text/plain")
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    result = shop.run("prune")
    assert result.out.startswith("WARNING! This will remove all dangling images")
    assert (result.code, len(blobs(shop))) == (left, left)


def test_limits_of_the_cache_are_kept(shop: Shop) -> None:
    image = shop.image(layers=(BASE,))
    shop.store.cache.put_record(Digest.of(b"key"), image_layers(image))
    for flags in (["--filter", "until=1h"], ["--max-used-space=1g", "-a"], ["--keep-storage=1g"]):
        assert "Deleted build cache records: 0" in shop.run("prune", "-f", *flags).lines
    assert "Deleted build cache records: 1" in shop.run("prune", "-f", "--max-used-space=10").lines
    assert blobs(shop) == set()


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--filter=id=x", "--filter: 'id' is not supported"),
        ("--filter=until=x", "--filter until: "),
        ("--max-used-space=many", "invalid --max-used-space"),
    ],
)
def test_limits_that_mean_nothing_are_refused(shop: Shop, flag: str, message: str) -> None:
    result = shop.run("prune", "-f", flag)
    assert result.code == 2
    assert message in result.err


def test_the_snapshot_that_a_killed_builder_was_making_is_removed(shop: Shop) -> None:
    shop.image("tiny:1")
    left = shop.store.root / "snapshots" / "tmp-0123456789abcdef"
    (left / "fs").mkdir(parents=True)
    (left / "fs" / "file").write_bytes(b"1")
    assert shop.run("prune", "-f").code == 0
    assert not left.exists()


def test_volumes_go_only_when_asked_for_and_without_a_name(shop: Shop) -> None:
    volumes = Volumes(shop.store)
    gone, stays = volumes.add(""), volumes.add("data")
    volumes.data(gone.name).joinpath("file").write_bytes(b"x" * 5000)
    shop.run("prune", "-af")
    assert {each.name for each in volumes.all()} == {gone.name, stays.name}
    result = shop.run("prune", "-f", "--volumes")
    assert result.lines[:2] == ["Deleted Volumes:", f"deleted: {gone.name}"]
    assert result.lines[-1] != "Total reclaimed space: 0B"
    assert [each.name for each in volumes.all()] == ["data"]
