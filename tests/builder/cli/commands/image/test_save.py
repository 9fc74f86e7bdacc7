"""``pybuild save``: images become an archive."""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.builder.cli.commands.image.conftest import multi
from tests.builder.cli.conftest import Shop
from tests.helpers.images import AMD64, ARM64, tiny_image, tiny_index


def test_what_was_saved_is_loaded_again_with_its_names(shop: Shop, tmp_path: Path) -> None:
    image = shop.image("tiny:1", "tiny:2")
    archive = tmp_path / "x.tar"
    assert shop.run("save", "-o", str(archive), "tiny:1", "tiny:2").out == ""
    shop.run("rmi", "tiny:1", "tiny:2")
    assert shop.run("load", "-i", str(archive)).lines == ["Loaded image: tiny:1", "Loaded image: tiny:2"]
    assert shop.run("images", "-q", "--no-trunc").lines == [str(image.id)]


def test_an_archive_holds_an_image_once_and_one_given_by_id_without_a_name(shop: Shop, tmp_path: Path) -> None:
    image = shop.image("tiny:1")
    shop.run("save", "-o", str(tmp_path / "x.tar"), image.id.hex[:12], str(image.id))
    with tarfile.open(tmp_path / "x.tar") as tar:
        table = tar.extractfile("manifest.json")
        assert table is not None
        assert [entry["RepoTags"] for entry in json.load(table)] == [None]
    shop.run("rmi", "tiny:1")
    assert shop.run("load", "-i", str(tmp_path / "x.tar")).lines == [f"Loaded image ID: {image.id}"]
    assert shop.run("images").lines[1].startswith("<none>")


def test_one_platform_can_be_saved_alone(shop: Shop, tmp_path: Path) -> None:
    images = [tiny_image(shop.store.blobs, {"x": b""}, platform=platform) for platform in (AMD64, ARM64)]
    shop.store.layout.tag("docker.io/library/multi:1", tiny_index(shop.store.blobs, *images))
    shop.run("save", "-o", str(tmp_path / "x.tar"), "--platform", "linux/arm64", "multi:1")
    with tarfile.open(tmp_path / "x.tar") as tar:
        index = tar.extractfile("index.json")
        assert index is not None
        assert [entry["digest"] for entry in json.load(index)["manifests"]] == [str(images[1].descriptor.digest)]


def test_a_name_without_a_tag_means_all_images_of_it(shop: Shop, tmp_path: Path) -> None:
    shop.image("tiny:1", "other:1")
    shop.image("tiny:2", layers=({"y": b""},))
    assert shop.run("save", "-o", str(tmp_path / "x.tar"), "tiny").code == 0
    with tarfile.open(tmp_path / "x.tar") as tar:
        table = tar.extractfile("manifest.json")
        assert table is not None
        assert [entry["RepoTags"] for entry in json.load(table)] == [["tiny:1"], ["tiny:2"]]


def test_a_directory_that_is_not_there_is_told_by_the_name_that_was_given(shop: Shop, tmp_path: Path) -> None:
    shop.image("tiny:1")
    result = shop.run("save", "-o", str(tmp_path / "none/x.tar"), "tiny:1")
    problem = (
        f"ERROR: open {tmp_path}/none/x.tar: no such file or directory\nhint: there is no directory {tmp_path}/none\n"
    )
    assert (result.code, result.err) == (2, problem)


def test_a_failed_save_leaves_no_file(shop: Shop, tmp_path: Path) -> None:
    image = shop.image("tiny:1")
    layer = image.manifest.layers[0].digest
    shop.store.blobs.remove(layer)
    result = shop.run("save", "-o", str(tmp_path / "x.tar"), "tiny:1")
    assert result.code == 1
    assert os.listdir(tmp_path) == ["store"]
    shop.store.layout.untag("docker.io/library/tiny:1")
    shop.store.blobs.remove(image.descriptor.digest)


def test_archives_go_through_pipes(shop: Shop) -> None:
    image = shop.image("tiny:1")
    command = [sys.executable, "-m", "pybuild", "--root", str(shop.store.root)]
    saved = subprocess.run([*command, "save", "tiny:1"], capture_output=True, check=True, timeout=60)
    shop.run("rmi", "tiny:1")
    loaded = subprocess.run([*command, "load"], input=saved.stdout, capture_output=True, check=True, timeout=60)
    assert loaded.stdout == b"Loaded image: tiny:1\n"
    assert shop.run("images", "-q", "--no-trunc").lines == [str(image.id)]


@pytest.mark.parametrize("kept", [0, 1])
def test_of_an_index_that_is_not_whole_the_image_that_is_there_is_saved(shop: Shop, tmp_path: Path, kept: int) -> None:
    images = multi(shop)
    shop.store.blobs.remove(images[1 - kept].descriptor.digest)
    result = shop.run("save", "-o", str(tmp_path / "x.tar"), "multi:1")
    platform = ("linux/amd64", "linux/arm64")[kept]
    assert (result.code, f"saving the one for {platform}" in result.err) == (0, True)
    assert shop.run("load", "-i", str(tmp_path / "x.tar")).lines == ["Loaded image: multi:1"]
    assert shop.run("inspect", "-f", "{{.Id}}", "multi:1").out == f"{images[kept].id}\n"
