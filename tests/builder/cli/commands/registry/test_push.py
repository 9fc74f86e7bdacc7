"""``pybuild push``: an image to its registry."""

import json
from pathlib import Path

import pytest

from pybuild.builder.cli.commands.registry.push import FormFlags, PushForm
from pybuild.builder.errors import RequestError
from pybuild.builder.oci.blobs import BlobStore
from tests.builder.cli.conftest import Shop
from tests.helpers.images import AMD64, ARM64, tiny_image, tiny_index
from tests.helpers.registry import Answer, FakeRegistry

pytestmark = pytest.mark.usefixtures("no_registry_settings")
APP = "team/app"


def test_a_push_prints_what_scripts_know(shop: Shop, server: FakeRegistry) -> None:
    image = shop.image("tiny:1")
    name = f"{server.name}/{APP}:1"
    shop.run("tag", "tiny:1", name)
    lines = shop.run("push", name).lines
    assert lines[0] == f"The push refers to repository [{server.name}/{APP}]"
    assert sorted(lines[1:-1]) == sorted(
        f"{blob.digest.hex[:12]}: Pushed" for blob in (image.manifest.config, *image.manifest.layers)
    )
    assert lines[-1] == f"1: digest: {image.descriptor.digest} size: {image.descriptor.size}"
    assert server.has(APP, shop.store.blobs, "1", image.descriptor)
    assert {line.partition(": ")[2] for line in shop.run("push", name).lines[1:-1]} == {"Layer already exists"}
    assert shop.run("push", "-q", name).out == f"{name}\n"


def test_layers_are_mounted_from_repositories_of_the_same_registry(shop: Shop, server: FakeRegistry) -> None:
    shop.image("tiny:1")
    for name in (f"{server.name}/base:1", f"{server.name}/{APP}"):
        shop.run("tag", "tiny:1", name)
    shop.run("push", f"{server.name}/base:1")
    lines = shop.run("push", f"{server.name}/{APP}").lines
    assert lines[0] == "Using default tag: latest"
    assert {line.partition(": ")[2] for line in lines[2:-1]} == {"Mounted from base"}


def test_all_tags_of_a_repository_are_pushed(shop: Shop, server: FakeRegistry) -> None:
    shop.image("tiny:1")
    for name in ("a:1", "a:2", "b:1"):
        shop.run("tag", "tiny:1", f"{server.name}/{name}")
    assert shop.run("push", "-a", f"{server.name}/a").code == 0
    assert [path for path in server.content if path.endswith(("/1", "/2"))] == [
        "/v2/a/manifests/1",
        "/v2/a/manifests/2",
    ]
    assert shop.run("push", "-a", f"{server.name}/a:1").code == 2
    assert shop.run("push", "-a", f"{server.name}/none").code == 1


def test_an_index_is_pushed_whole_or_for_one_platform(shop: Shop, server: FakeRegistry) -> None:
    blobs = shop.store.blobs
    images = [
        tiny_image(blobs, {"x": platform.architecture.encode()}, platform=platform) for platform in (AMD64, ARM64)
    ]
    index = tiny_index(blobs, *images)
    name = f"{server.name}/{APP}:1"
    shop.store.layout.tag(name, index)
    assert shop.run("push", name).lines[-1].endswith(f"digest: {index.digest} size: {index.size}")
    assert server.has(APP, blobs, "1", index)
    assert shop.run("push", "--platform", "linux/arm64", name).code == 0
    assert server.has(APP, blobs, "1", images[1].descriptor)


def test_of_an_index_that_is_not_complete_the_image_for_this_machine_is_pushed(
    shop: Shop, server: FakeRegistry, source: BlobStore
) -> None:
    amd = tiny_image(source, {"amd": b""})
    server.add(source, APP, "1", tiny_index(source, amd, tiny_image(source, {"arm": b""}, platform=ARM64)))
    shop.run("pull", f"{server.name}/{APP}:1")
    shop.run("tag", f"{server.name}/{APP}:1", f"{server.name}/copy:1")
    result = shop.run("push", f"{server.name}/copy:1")
    assert result.lines[-1] == f"1: digest: {amd.descriptor.digest} size: {amd.descriptor.size}"
    assert "does not have the images for all platforms" in result.err
    shop.run("rmi", f"{server.name}/{APP}:1", f"{server.name}/copy:1")


def test_what_was_pulled_for_another_platform_is_pushed_for_it(
    shop: Shop, server: FakeRegistry, source: BlobStore
) -> None:
    arm = tiny_image(source, {"arm": b""}, platform=ARM64)
    server.add(source, APP, "1", tiny_index(source, tiny_image(source, {"amd": b""}), arm))
    shop.run("pull", "--platform=linux/arm64", f"{server.name}/{APP}:1")
    shop.run("tag", f"{server.name}/{APP}:1", f"{server.name}/copy:1")
    result = shop.run("push", f"{server.name}/copy:1")
    assert result.lines[-1] == f"1: digest: {arm.descriptor.digest} size: {arm.descriptor.size}"
    assert "pushing the one for linux/arm64" in result.err
    shop.run("rmi", f"{server.name}/{APP}:1", f"{server.name}/copy:1")


def test_a_push_that_the_registry_refuses_is_its_failure(shop: Shop, server: FakeRegistry) -> None:
    name = f"{server.name}/{APP}:1"
    shop.image("tiny:1")
    shop.run("tag", "tiny:1", name)
    server.answer(f"/v2/{APP}/manifests/1", Answer(status=403))
    result = shop.run("push", name)
    assert result.code == 5
    assert f"failed to push {server.name}/{APP}: PUT" in result.err


def test_a_push_of_what_is_not_there_is_ours(shop: Shop, server: FakeRegistry) -> None:
    result = shop.run("push", f"{server.name}/{APP}:gone")
    assert result.code == 1
    assert f"An image does not exist locally with the tag: {server.name}/{APP}" in result.err
    assert shop.run("push", f"{server.name}/{APP}@sha256:{'0' * 64}").code == 2
    assert server.requests == []


def test_an_image_is_pushed_in_another_form(shop: Shop, server: FakeRegistry, tmp_path: Path) -> None:
    name = f"{server.name}/{APP}:1"
    shop.image("tiny:1")
    shop.run("tag", "tiny:1", name)
    own = shop.store.layout.resolve(name)
    written = tmp_path / "digest"

    def pushed(*words: str) -> tuple[str, str]:
        result = shop.run("push", "--digestfile", str(written), *words, name)
        assert result.code == 0, result.err
        assert f"1: digest: {written.read_text().strip()} size: " in result.lines[-1]
        raw = json.loads(shop.run("manifest", "inspect", f"docker://{name}").out)
        return raw["mediaType"], raw["layers"][0]["mediaType"]

    docker = "application/vnd.docker"
    assert pushed("--format", "v2s2") == (
        f"{docker}.distribution.manifest.v2+json",
        f"{docker}.image.rootfs.diff.tar.gzip",
    )
    assert pushed("--compression-format=zstd", "--compression-level=5", "--force-compression") == (
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.layer.v1.tar+zstd",
    )
    assert shop.store.layout.resolve(name) == own
    assert pushed()[0] == "application/vnd.oci.image.manifest.v1+json"
    assert written.read_text().strip() == str(own.digest if own else None)
    shop.run("prune", "-f")


@pytest.mark.parametrize(
    "words",
    [
        ("--format=v2s2", "--compression-format=zstd"),
        ("--compression-level=5",),
        ("--compression-format=lzma",),
        ("--format=v1",),
    ],
)
def test_forms_that_there_are_not_are_refused(shop: Shop, words: tuple[str, ...]) -> None:
    shop.image("tiny:1")
    assert shop.run("push", *words, "tiny:1").code == 2


@pytest.mark.parametrize(
    ("flags", "form"),
    [
        (FormFlags(), PushForm()),
        (FormFlags(kind="oci"), PushForm(docker=False)),
        (FormFlags(kind="v2s2"), PushForm(docker=True)),
        (FormFlags(kind="docker", algorithm="gzip"), PushForm(docker=True, algorithm="gzip")),
        (FormFlags(algorithm="zstd", level="3"), PushForm(algorithm="zstd", level=3)),
        (FormFlags(kind="oci", algorithm="zstd"), PushForm(docker=False, algorithm="zstd")),
        (FormFlags(force_compression=True), PushForm()),
    ],
)
def test_flags_become_a_form(flags: FormFlags, form: PushForm) -> None:
    assert flags.form() == form


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (FormFlags(level="3"), "--compression-level needs --compression-format"),
        (FormFlags(kind="docker", algorithm="zstd"), "zstd needs OCI media types"),
        (FormFlags(algorithm="brotli"), "brotli"),
        (FormFlags(algorithm="gzip", level="eleven"), "eleven"),
    ],
)
def test_contradictions_and_unknown_words_are_errors(flags: FormFlags, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        flags.form()
