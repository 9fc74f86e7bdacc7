import json
from typing import Any

import pytest

from pybuild.builder.oci.image import read_image
from tests.builder.cli.conftest import Shop
from tests.helpers.images import ARM64, tiny_image, tiny_index


def inspected(shop: Shop, name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(shop.run("inspect", name).out)[0]
    return document


def test_all_layers_become_one_and_the_config_stays(shop: Shop) -> None:
    source = shop.image("tiny:1", layers=({"a": b"1"}, {".wh.a": b"", "b": b""}))
    result = shop.run("flatten", "tiny:1", "-t", "flat")
    assert (result.code, result.err) == (0, "")
    assert result.lines == shop.run("images", "-q", "--no-trunc", "flat").lines
    document = inspected(shop, "flat")
    assert len(document["RootFS"]["Layers"]) == 1
    assert document["Config"]["Env"] == list(source.config.config.env)
    assert document["Created"] == source.config.created
    assert shop.run("history", "--format", "{{.CreatedBy}}", "flat").lines == ["pybuild flatten"]


def test_the_same_image_gives_the_same_layer(shop: Shop) -> None:
    shop.image("tiny:1", layers=({"a": b"1"}, {"b": b""}))
    first = shop.run("flatten", "tiny:1", "-t", "flat").out
    assert shop.run("flatten", "tiny:1").out == first
    assert shop.run("flatten", "flat").out == first


def test_one_image_of_several_platforms_is_chosen(shop: Shop) -> None:
    blobs = shop.store.blobs
    images = tiny_image(blobs, {"x": b""}), tiny_image(blobs, {"arm": b""}, platform=ARM64)
    shop.store.layout.tag("docker.io/library/both:latest", tiny_index(blobs, *images))
    assert shop.run("flatten", "both", "--platform", "arm64", "-t", "flat").code == 0
    descriptor = shop.store.layout.resolve("docker.io/library/flat:latest")
    assert descriptor is not None
    assert read_image(blobs, descriptor, ARM64).config.architecture == "arm64"


@pytest.mark.parametrize(
    ("words", "code"),
    [(["nope"], 1), (["tiny:1", "--compression", "lzma"], 2), (["tiny:1", "-t", "UPPER"], 2), ([], 2)],
)
def test_what_cannot_be_is_refused(shop: Shop, words: list[str], code: int) -> None:
    shop.image("tiny:1")
    assert shop.run("flatten", *words).code == code
    assert shop.names() == ["docker.io/library/tiny:1"]


def test_a_layer_that_leads_out_of_its_tree_is_refused_or_stays_inside(shop: Shop) -> None:
    shop.image("tiny:1", layers=({"../../escaped": b"x"},))
    assert shop.run("flatten", "tiny:1", "-t", "flat").code == 0
    assert not (shop.store.root.parent / "escaped").exists()
    assert not (shop.store.root / "escaped").exists()
