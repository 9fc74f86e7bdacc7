"""``image prune``: Docker's meaning."""

import io

import pytest

from pybuild.builder.containers.catalog import Containers
from pybuild.builder.containers.names import new_id
from pybuild.builder.oci.digest import Digest
from pybuild.builder.store.container_holds import Hold
from pybuild.runtime.values import replace
from tests.builder.cli.conftest import Shop
from tests.builder.containers.test_config import PLAIN


def test_images_without_a_name_go_and_the_rest_stays(shop: Shop) -> None:
    shop.image("tiny:1")
    gone = shop.image(layers=({"z": b"z"},))
    shop.store.blobs.put(b"stray", "text/plain")
    result = shop.run("image", "prune", "-f")
    assert result.lines[:2] == ["Deleted Images:", f"deleted: {gone.id}"]
    assert result.lines[-1].startswith("Total reclaimed space: ")
    assert result.lines[-1] != "Total reclaimed space: 0B"
    assert shop.names() == ["docker.io/library/tiny:1"]
    assert shop.store.blobs.exists(Digest.of(b"stray"))
    assert shop.run("image", "prune", "--force").lines == ["Total reclaimed space: 0B"]
    shop.run("prune", "-f")


def test_with_all_images_with_a_name_go_too(shop: Shop) -> None:
    image = shop.image("tiny:1", "tiny:2")
    result = shop.run("image", "prune", "-af")
    assert result.lines[1:4] == ["untagged: tiny:1", "untagged: tiny:2", f"deleted: {image.id}"]
    assert list(shop.store.blobs.digests()) == []


def test_an_image_of_a_container_stays_named_or_not(shop: Shop) -> None:
    used, unnamed = shop.image("tiny:1"), shop.image(layers=({"z": b"z"},))
    shop.image("tiny:2", layers=({"y": b"y"},))
    for image in (used, unnamed):
        config = replace(PLAIN, id=new_id(), image_id=str(image.id))
        Containers(shop.store).add(config, "", Hold(image=image.descriptor, snapshot=""), {"hosts": "x\n"})
    result = shop.run("image", "prune", "-af")
    assert result.lines[1] == "untagged: tiny:2"
    assert shop.names() == ["", "docker.io/library/tiny:1"]


@pytest.mark.parametrize(
    ("given", "stays"),
    [
        ("until=2023-01-01", True),
        ("until=24h", False),
        ("label=a", True),
        ("label!=a", False),
    ],
)
def test_filters_say_which(shop: Shop, given: str, *, stays: bool) -> None:
    shop.image("tiny:1")
    assert shop.run("image", "prune", "-af", "--filter", given).code == 0
    assert bool(shop.names()) == stays


def test_a_filter_that_is_none_is_refused(shop: Shop) -> None:
    assert shop.run("image", "prune", "-f", "--filter", "size=1").code == 2


def test_nothing_is_removed_without_a_yes(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.image("tiny:1")
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    result = shop.run("image", "prune", "-a")
    assert result.code == 1
    assert "remove all images without at least one container associated to them." in result.out
    assert shop.names() == ["docker.io/library/tiny:1"]
