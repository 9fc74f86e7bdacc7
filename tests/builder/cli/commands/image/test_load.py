"""``pybuild load``: images of an archive or a directory."""

import bz2
import gzip
import json
import lzma
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.builder.cli.commands.image.conftest import multi
from tests.builder.cli.conftest import BASE, Shop
from tests.helpers.images import docker_archive


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


def test_what_is_no_archive_is_refused_and_a_missing_file_is_told(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("not an archive")
    assert shop.run("load", "-i", str(tmp_path / "x")).code == 1
    missing = shop.run("load", "-i", str(tmp_path / "missing"))
    assert missing.code == 2
    assert missing.err == f"ERROR: open {tmp_path}/missing: no such file or directory\n"


def test_one_platform_of_an_archive_can_be_loaded(shop: Shop, tmp_path: Path) -> None:
    images = multi(shop)
    assert shop.run("save", "-o", str(tmp_path / "x.tar"), "multi:1").code == 0
    loaded = shop.run("load", "--platform=linux/arm64", "-i", str(tmp_path / "x.tar"))
    assert loaded.lines == ["Loaded image: multi:1"]
    assert shop.run("inspect", "-f", "{{.Id}} {{.Architecture}}", "multi:1").out == f"{images[1].id} arm64\n"
    result = shop.run("load", "--platform=s390x", "-i", str(tmp_path / "x.tar"))
    assert (result.code, "no image for linux/s390x" in result.err) == (1, True)


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
