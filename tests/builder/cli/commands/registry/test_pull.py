"""``pybuild pull``: an image from its registry."""

import pytest

from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.validate import validate
from tests.builder.cli.conftest import BASE, Shop
from tests.helpers.images import AMD64, ARM64, tiny_image, tiny_index
from tests.helpers.registry import Answer, FakeRegistry

pytestmark = pytest.mark.usefixtures("no_registry_settings")
APP = "team/app"


def test_a_pull_prints_what_scripts_know(shop: Shop, server: FakeRegistry, source: BlobStore) -> None:
    image = tiny_image(source, BASE)
    layer = image.manifest.layers[0].digest.hex[:12]
    server.add(source, APP, "1", image.descriptor)
    name = f"{server.name}/{APP}:1"
    ending = [f"Digest: {image.descriptor.digest}", f"Status: Downloaded newer image for {name}", name]
    assert shop.run("pull", name).lines == [f"1: Pulling from {APP}", f"{layer}: Pull complete", *ending]
    ending[1] = f"Status: Image is up to date for {name}"
    assert shop.run("pull", name).lines == [f"1: Pulling from {APP}", f"{layer}: Already exists", *ending]
    assert shop.run("pull", "-q", name).out == f"{name}\n"
    assert shop.names() == [name]
    assert validate(shop.store.blobs, image.descriptor) == []


def test_without_a_tag_it_is_latest(shop: Shop, server: FakeRegistry, source: BlobStore) -> None:
    server.add(source, APP, "latest", tiny_image(source, BASE).descriptor)
    assert shop.run("pull", f"{server.name}/{APP}").lines[:2] == [
        "Using default tag: latest",
        f"latest: Pulling from {APP}",
    ]


def test_a_digest_is_pulled_under_its_name(shop: Shop, server: FakeRegistry, source: BlobStore) -> None:
    image = tiny_image(source, BASE)
    server.add(source, APP, "1", image.descriptor)
    name = f"{server.name}/{APP}@{image.descriptor.digest}"
    assert shop.run("pull", name).lines[-1] == name
    assert shop.names() == [name]


def test_all_tags_and_all_platforms_can_be_pulled(shop: Shop, server: FakeRegistry, source: BlobStore) -> None:
    index = tiny_index(source, *(tiny_image(source, {p.architecture: b""}, platform=p) for p in (AMD64, ARM64)))
    for tag in ("a", "b", "c"):
        server.add(source, APP, tag, index)
    assert shop.run("pull", "-a", "--all-platforms", f"{server.name}/{APP}").code == 0
    assert shop.names() == [f"{server.name}/{APP}:{tag}" for tag in "abc"]
    assert validate(shop.store.blobs, index) == []
    assert shop.run("pull", "-a", f"{server.name}/{APP}:a").code == 2
    assert shop.run("pull", "--platform", "linux/arm64", "--all-platforms", f"{server.name}/{APP}:a").code == 2


def test_a_platform_can_be_chosen(shop: Shop, server: FakeRegistry, source: BlobStore) -> None:
    arm = tiny_image(source, {"arm": b""}, platform=ARM64)
    server.add(source, APP, "1", tiny_index(source, tiny_image(source, {"amd": b""}), arm))
    assert shop.run("pull", "-q", "--platform", "arm64", f"{server.name}/{APP}:1").code == 0
    assert shop.store.blobs.has(arm.manifest.layers[0])
    # Of the index the store has one image only, which `validate_store` would miss.
    shop.run("rmi", f"{server.name}/{APP}:1")


def test_the_environment_names_the_platform_too(
    shop: Shop, server: FakeRegistry, source: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = tiny_index(source, *(tiny_image(source, {p.architecture: b""}, platform=p) for p in (AMD64, ARM64)))
    server.add(source, APP, "a", index)
    monkeypatch.setenv("DOCKER_DEFAULT_PLATFORM", "linux/arm64")
    assert shop.run("pull", f"{server.name}/{APP}:a").code == 0
    assert shop.run("inspect", "-f", "{{.Architecture}}", f"{server.name}/{APP}:a").out == "arm64\n"
    assert shop.run("pull", "--platform=linux/amd64", f"{server.name}/{APP}:a").code == 0
    assert shop.run("inspect", "-f", "{{.Architecture}}", f"{server.name}/{APP}:a").out == "amd64\n"
    assert shop.run("pull", "--all-platforms", f"{server.name}/{APP}:a").code == 0


def test_certificates_need_not_be_checked(shop: Shop, server: FakeRegistry, source: BlobStore) -> None:
    server.add(source, APP, "1", tiny_image(source, BASE).descriptor)
    assert shop.run("pull", "-q", "--tls-verify=false", f"{server.name}/{APP}:1").code == 0


def test_an_image_that_is_not_there_is_the_failure_of_the_registry(shop: Shop, server: FakeRegistry) -> None:
    result = shop.run("pull", f"{server.name}/{APP}:gone")
    assert result.code == 4
    assert (
        f"failed to pull {server.name}/{APP}:gone: manifest for {server.name}/{APP}:gone not found: manifest unknown"
        in result.err
    )


def test_warnings_of_the_registry_are_shown(shop: Shop, server: FakeRegistry, source: BlobStore) -> None:
    image = tiny_image(source, BASE)
    server.add(source, APP, "1", image.descriptor)
    server.answer(f"/v2/{APP}/manifests/1", Answer(status=405, headers={"Warning": '299 - "going away"'}))
    assert shop.run("pull", f"{server.name}/{APP}:1").err == "WARNING: going away\n"
