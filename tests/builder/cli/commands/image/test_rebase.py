import json
from typing import Any

import pytest

from pybuild.builder.edit.rebase import BASE_DIGEST, BASE_NAME
from tests.builder.cli.conftest import Result, Shop
from tests.helpers.images import ARM64, Files, tiny_image, tiny_index

OLD: Files = {"lib": b"1"}
NEW: Files = {"lib": b"2", "more": b""}
OWN: Files = {"app": b"x"}


@pytest.fixture
def bases(shop: Shop) -> Shop:
    shop.image("base:1", layers=(OLD,))
    shop.image("base:2", layers=(NEW, {"z": b""}))
    shop.image("app:1", layers=(OLD, OWN))
    return shop


def layers(shop: Shop, name: str) -> list[str]:
    document: dict[str, Any] = json.loads(shop.run("inspect", name).out)[0]
    found: list[str] = document["RootFS"]["Layers"]
    return found


def annotations(shop: Shop, name: str) -> dict[str, str]:
    descriptor = shop.store.layout.resolve(f"docker.io/library/{name}")
    assert descriptor is not None
    document: dict[str, Any] = json.loads(shop.store.blobs.read(descriptor))
    found: dict[str, str] = document["annotations"]
    return found


def rebase(shop: Shop, *words: str) -> Result:
    return shop.run("rebase", "-t", "app:2", *words)


def test_the_layers_go_onto_the_new_base(bases: Shop) -> None:
    result = rebase(bases, "app:1", "--old-base", "base:1", "--onto", "base:2")
    assert (result.code, result.err) == (0, "")
    assert result.lines == bases.run("images", "-q", "--no-trunc", "app:2").lines
    assert layers(bases, "app:2") == [*layers(bases, "base:2"), layers(bases, "app:1")[1]]


def test_the_annotations_serve_for_the_next_time(bases: Shop) -> None:
    rebase(bases, "app:1", "--old-base", "base:1", "--onto", "base:2")
    assert annotations(bases, "app:2")[BASE_NAME] == "docker.io/library/base:2"
    bases.run("tag", "base:1", "base:2")
    # The name has moved meanwhile; the digest tells what the image really stands on.
    assert rebase(bases, "app:2", "--onto", "base:2").code == 0
    assert layers(bases, "app:2") == layers(bases, "app:1")


def test_a_name_alone_is_looked_up_and_still_checked(bases: Shop) -> None:
    bases.run("mutate", "app:1", "-t", "app:1", "--annotation", f"{BASE_NAME}=base:1")
    assert rebase(bases, "app:1", "--onto", "base:2").code == 0
    bases.run("mutate", "app:1", "-t", "app:1", "--annotation", f"{BASE_NAME}=base:2")
    refused = rebase(bases, "app:1", "--onto", "base:1")
    assert (refused.code, "is not based on base:2" in refused.err) == (2, True)


def test_the_base_of_the_platform_of_the_image_is_taken(bases: Shop) -> None:
    blobs = bases.store.blobs
    images = tiny_image(blobs, NEW), tiny_image(blobs, {"arm": b""}, platform=ARM64)
    bases.store.layout.tag("docker.io/library/both:latest", tiny_index(blobs, *images))
    assert rebase(bases, "app:1", "--old-base", "base:1", "--onto", "both").code == 0
    assert annotations(bases, "app:2")[BASE_DIGEST] == str(images[0].descriptor.digest)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["app:1", "--onto", "base:2"], 2, "--old-base"),
        (["app:1", "--onto", "base:2", "--old-base", "base:2"], 2, "is not based on base:2"),
        (["base:1", "--onto", "base:2", "--old-base", "app:1"], 2, "it has 1 layers"),
        (["app:1", "--onto", "nope", "--old-base", "base:1"], 1, "nope"),
        (["app:1", "--onto", "base:2", "--old-base", "nope"], 1, "nope"),
        (["app:1"], 2, "--onto"),
    ],
)
def test_what_is_not_safe_is_refused(bases: Shop, words: list[str], code: int, said: str) -> None:
    result = rebase(bases, *words)
    assert (result.code, said in result.err) == (code, True), result.err
    assert "docker.io/library/app:2" not in bases.names()


def test_a_base_that_is_not_in_the_store_is_named_with_the_command_that_brings_it(bases: Shop) -> None:
    digest = "sha256:" + "0" * 64
    bases.run(
        "mutate",
        "app:1",
        "-t",
        "app:1",
        "--annotation",
        f"{BASE_NAME}=reg/b",
        "--annotation",
        f"{BASE_DIGEST}={digest}",
    )
    assert f"pybuild pull reg/b@{digest}" in rebase(bases, "app:1", "--onto", "base:2").err


def test_help_tells_what_becomes_of_the_config(shop: Shop) -> None:
    assert "stay as they are" in shop.run("rebase", "--help").out
