import bz2
import gzip
import json
import lzma
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pybuild.builder.oci.image import Image
from tests.builder.cli.conftest import BASE, Shop
from tests.helpers.images import AMD64, ARM64, docker_archive, tiny_image, tiny_index


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


def test_archives_of_docker_are_loaded_compressed_or_not(shop: Shop, tmp_path: Path) -> None:
    path = tmp_path / "docker.tar.gz"
    path.write_bytes(gzip.compress(docker_archive(["app:3", "Not A Name"], BASE)))
    assert shop.run("load", "-i", str(path)).lines == ["Loaded image: app:3"]
    assert shop.run("load", "-q", "-i", str(path)).out == "Loaded image: app:3\n"


@pytest.mark.parametrize("compress", [bz2.compress, lzma.compress])
def test_archives_are_loaded_in_older_compressions_too(
    shop: Shop, tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "docker.tar"
    path.write_bytes(compress(docker_archive(["app:3"], BASE)))
    assert shop.run("load", "-i", str(path)).lines == ["Loaded image: app:3"]


def test_a_directory_that_is_not_there_is_told_by_the_name_that_was_given(shop: Shop, tmp_path: Path) -> None:
    shop.image("tiny:1")
    result = shop.run("save", "-o", str(tmp_path / "none/x.tar"), "tiny:1")
    assert (result.code, result.err) == (3, f"ERROR: {tmp_path}/none/x.tar: no such file or directory\n")


def test_a_failed_save_leaves_no_file(shop: Shop, tmp_path: Path) -> None:
    image = shop.image("tiny:1")
    layer = image.manifest.layers[0].digest
    shop.store.blobs.remove(layer)
    result = shop.run("save", "-o", str(tmp_path / "x.tar"), "tiny:1")
    assert result.code == 1
    assert os.listdir(tmp_path) == ["store"]
    shop.store.layout.untag("docker.io/library/tiny:1")
    shop.store.blobs.remove(image.descriptor.digest)


def test_what_is_no_archive_is_refused_and_a_missing_file_is_told(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("not an archive")
    assert shop.run("load", "-i", str(tmp_path / "x")).code == 1
    missing = shop.run("load", "-i", str(tmp_path / "missing"))
    assert missing.code == 3
    assert missing.err.endswith("missing: no such file or directory\n")


def test_archives_go_through_pipes(shop: Shop) -> None:
    image = shop.image("tiny:1")
    command = [sys.executable, "-m", "pybuild", "--root", str(shop.store.root)]
    saved = subprocess.run([*command, "save", "tiny:1"], capture_output=True, check=True, timeout=60)
    shop.run("rmi", "tiny:1")
    loaded = subprocess.run([*command, "load"], input=saved.stdout, capture_output=True, check=True, timeout=60)
    assert loaded.stdout == b"Loaded image: tiny:1\n"
    assert shop.run("images", "-q", "--no-trunc").lines == [str(image.id)]


def multi(shop: Shop) -> list[Image]:
    """An index of the store under the name ``multi:1``."""
    images = [tiny_image(shop.store.blobs, {"x": p.architecture.encode()}, platform=p) for p in (AMD64, ARM64)]
    shop.store.layout.tag("docker.io/library/multi:1", tiny_index(shop.store.blobs, *images))
    return images


def test_one_platform_of_an_archive_can_be_loaded(shop: Shop, tmp_path: Path) -> None:
    images = multi(shop)
    assert shop.run("save", "-o", str(tmp_path / "x.tar"), "multi:1").code == 0
    loaded = shop.run("load", "--platform=linux/arm64", "-i", str(tmp_path / "x.tar"))
    assert loaded.lines == ["Loaded image: multi:1"]
    assert shop.run("inspect", "-f", "{{.Id}} {{.Architecture}}", "multi:1").out == f"{images[1].id} arm64\n"
    result = shop.run("load", "--platform=s390x", "-i", str(tmp_path / "x.tar"))
    assert (result.code, "no image for linux/s390x" in result.err) == (1, True)


@pytest.mark.parametrize("kept", [0, 1])
def test_of_an_index_that_is_not_whole_the_image_that_is_there_is_saved(shop: Shop, tmp_path: Path, kept: int) -> None:
    images = multi(shop)
    shop.store.blobs.remove(images[1 - kept].descriptor.digest)
    result = shop.run("save", "-o", str(tmp_path / "x.tar"), "multi:1")
    platform = ("linux/amd64", "linux/arm64")[kept]
    assert (result.code, f"saving the one for {platform}" in result.err) == (0, True)
    assert shop.run("load", "-i", str(tmp_path / "x.tar")).lines == ["Loaded image: multi:1"]
    assert shop.run("inspect", "-f", "{{.Id}}", "multi:1").out == f"{images[kept].id}\n"


def test_what_cannot_be_loaded_is_named_with_what_it_is(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(bytes(range(255, 0, -1)) * 20)
    (tmp_path / "text").write_text("FROM scratch\n")
    shop.image("tiny:1")
    shop.run("save", "-o", str(tmp_path / "whole.tar"), "tiny:1")
    whole = (tmp_path / "whole.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[: len(whole) // 2 - 700])
    with tarfile.open(tmp_path / "root.tar", "w") as tar:
        for name in ("etc", "etc/passwd", "usr", "bin", "bin/sh"):
            tar.addfile(tarfile.TarInfo(f"./{name}"))
    (tmp_path / "table").write_text('[\n{"Config":')
    with tarfile.open(tmp_path / "table.tar", "w") as tar:
        tar.add(tmp_path / "table", "manifest.json")
    (tmp_path / "empty").mkdir()
    for name, reason in (
        ("noise", "this is not a tar archive, or it is damaged"),
        ("text", "this is not a tar archive, or it is damaged"),
        ("cut.tar", "the archive ends in the middle of a"),
        ("root.tar", "this is a root file system, not an image archive\nhint: use pybuild import for it"),
        ("empty", "this is not an image archive: it has no index.json"),
        ("table.tar", "manifest.json: is not valid JSON (line 2, column 11)\n"),
    ):
        failed = shop.run("load", "-i", str(tmp_path / name))
        assert failed.code == 1
        assert failed.err.startswith(f"ERROR: failed to load {tmp_path / name}: {reason}"), failed.err
        assert "b'" not in failed.err


def test_a_directory_is_loaded_when_it_is_a_layout(shop: Shop, tmp_path: Path) -> None:
    image = shop.image("tiny:1")
    shop.run("save", "-o", str(tmp_path / "x.tar"), "tiny:1")
    (tmp_path / "layout").mkdir()
    subprocess.run(["tar", "-xf", tmp_path / "x.tar", "-C", tmp_path / "layout"], check=True)
    shop.run("rmi", "tiny:1")
    assert shop.run("load", "-i", str(tmp_path / "layout")).lines == ["Loaded image: tiny:1"]
    assert shop.run("images", "-q", "--no-trunc").lines == [str(image.id)]


@pytest.mark.parametrize(
    ("ref", "name"),
    [
        ("1", ""),
        ("latest", ""),
        ("tiny:1", "tiny:1"),
        ("docker.io/library/tiny:1", "tiny:1"),
        ("here/tiny", "here/tiny:latest"),
    ],
)
def test_a_mere_tag_in_a_layout_names_no_image(shop: Shop, tmp_path: Path, ref: str, name: str) -> None:
    image = shop.image("tiny:1")
    shop.run("save", "-o", str(tmp_path / "x.tar"), "tiny:1")
    layout = tmp_path / "layout"
    layout.mkdir()
    subprocess.run(["tar", "-xf", tmp_path / "x.tar", "-C", layout], check=True)
    (layout / "manifest.json").unlink()
    index = json.loads((layout / "index.json").read_text())
    index["manifests"][0]["annotations"] = {"org.opencontainers.image.ref.name": ref}
    (layout / "index.json").write_text(json.dumps(index))
    shop.run("rmi", "tiny:1")
    expected = f"Loaded image: {name}" if name else f"Loaded image ID: {image.id}"
    assert shop.run("load", "-i", str(layout)).lines == [expected]
    assert [bool(known) for known in shop.names()] == [bool(name)]
