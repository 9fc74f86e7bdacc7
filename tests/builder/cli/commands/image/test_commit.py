import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from pybuild.builder.oci.archive.files import are_of_images
from pybuild.builder.oci.image import Image, read_image
from pybuild.builder.oci.layers.unpack import entries
from tests.builder.cli.conftest import BASE, Shop
from tests.helpers.images import tar_of


@pytest.fixture(autouse=True)
def _at_a_known_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")


def named(shop: Shop, name: str) -> Image:
    descriptor = shop.store.layout.resolve(f"docker.io/library/{name}")
    assert descriptor is not None
    return read_image(shop.store.blobs, descriptor)


def top(shop: Shop, image: Image) -> list[str]:
    """The paths in the uppermost layer."""
    with shop.store.blobs.open(image.manifest.layers[-1]) as stream:
        return [entry.path for entry in entries(stream)]


def exported(shop: Shop, name: str, directory: Path) -> Path:
    """The tree of an image, unpacked into *directory* by tar, as a user would do it.

    `TarFile.extractall` knows its *filter* only since Python 3.11.4.
    """
    archive = directory.with_suffix(".tar")
    assert shop.run("export", "-o", str(archive), name).code == 0
    directory.mkdir()
    subprocess.run(["tar", "--extract", "--file", archive, "--directory", directory, "--same-permissions"], check=True)
    return directory


@pytest.mark.parametrize("kind", ["folder", "tar", "tar.gz"])
def test_what_was_changed_added_and_removed_is_one_layer(shop: Shop, tmp_path: Path, kind: str) -> None:
    base = shop.image("tiny:1", layers=(BASE, {"etc/hosts": b"h", "etc/sub/a": b"a"}))
    tree = exported(shop, "tiny:1", tmp_path / "tree")
    (tree / "etc" / "motd").write_bytes(b"changed\n")
    (tree / "etc" / "hosts").unlink()
    (tree / "new").mkdir()
    (tree / "new" / "file").write_bytes(b"1")
    (tree / "new" / "link").symlink_to("/etc/passwd")
    if kind != "folder":
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            tar.add(tree, ".")
        tree = tmp_path / "changed.tar"
        tree.write_bytes(gzip.compress(buffer.getvalue()) if kind == "tar.gz" else buffer.getvalue())
    result = shop.run("commit", "-m", "why", "-a", "me", "-c", 'CMD ["/new"]', "tiny:1", str(tree), "out:1")
    image = named(shop, "out:1")
    assert result.lines == [str(image.id)]
    assert image.manifest.layers[:-1] == base.manifest.layers
    assert set(top(shop, image)) >= {"etc/motd", "etc/.wh.hosts", "new", "new/file", "new/link"}
    assert not {"bin/x", "etc/sub/a"} & set(top(shop, image))
    assert (image.config.author, image.config.created) == ("me", "2023-11-14T22:13:20Z")
    assert (image.config.config.cmd, image.config.config.env) == (("/new",), base.config.config.env)
    last = image.config.history[-1]
    assert (last.created_by, last.comment, last.author) == ("pybuild commit", "why", "me")
    assert list((shop.store.root / "trees").glob("tmp-*")) == []
    again = exported(shop, "out:1", tmp_path / "again")
    assert (again / "etc" / "motd").read_bytes() == b"changed\n"
    assert not (again / "etc" / "hosts").exists()
    assert os.readlink(again / "new" / "link") == "/etc/passwd"


def test_when_nothing_differs_no_layer_is_added(shop: Shop, tmp_path: Path) -> None:
    base = shop.image("tiny:1")
    tree = exported(shop, "tiny:1", tmp_path / "tree")
    assert shop.run("commit", "-m", "nothing", "tiny:1", str(tree), "out:1").code == 0
    image = named(shop, "out:1")
    assert image.manifest.layers == base.manifest.layers
    assert (image.config.history[-1].empty_layer, image.config.history[-1].comment) == (True, "nothing")


def test_an_archive_comes_from_standard_input_and_an_image_needs_no_name(shop: Shop) -> None:
    shop.image("tiny:1")
    command = [sys.executable, "-m", "pybuild", "--root", str(shop.store.root), "commit", "tiny:1", "-"]
    done = subprocess.run(command, input=tar_of({"only": b"1"}), capture_output=True, check=True, timeout=60)
    (entry,) = json.loads(shop.run("inspect", done.stdout.decode().strip()).out)
    assert entry["RepoTags"] == []


def test_an_archive_cannot_write_outside_of_its_tree(shop: Shop, tmp_path: Path) -> None:
    shop.image("tiny:1")
    victim = tmp_path / "victim"
    victim.mkdir()
    (tmp_path / "x.tar").write_bytes(tar_of({"a/file": b"1", "../../up": b"2"}, {"a": str(victim)}))
    assert shop.run("commit", "tiny:1", str(tmp_path / "x.tar"), "out:1").code in {0, 1}
    assert os.listdir(victim) == []
    assert not (tmp_path / "up").exists()


@pytest.mark.parametrize(
    ("words", "code", "problem"),
    [
        (("none:1", "."), 1, "No such image"),
        (("tiny:1", "/nowhere"), 2, "open /nowhere: no such file"),
        (("tiny:1", "README.md"), 1, "failed to unpack the archive"),
        (("tiny:1", "/dev/null"), 2, "the archive is empty"),
        (("tiny:1",), 1, "No such container: tiny:1"),
        (("tiny:1", "made"), 1, "No such container: tiny:1"),
        (("tiny:1", ".", "Bad Name"), 2, "invalid"),
        (("-c", "RUN x", "tiny:1", "."), 2, "only instructions that change the config"),
    ],
)
def test_what_cannot_be_done_is_told(shop: Shop, words: tuple[str, ...], code: int, problem: str) -> None:
    shop.image("tiny:1")
    result = shop.run("commit", *words)
    assert (result.code, problem in result.err) == (code, True), result.err
    assert shop.names() == ["docker.io/library/tiny:1"]


@pytest.mark.parametrize("kind", ["archive", "directory"])
def test_an_image_archive_is_no_root_file_system(shop: Shop, tmp_path: Path, kind: str) -> None:
    shop.image("tiny:1")
    saved = tmp_path / "saved"
    assert shop.run("save", "-o", str(saved), "tiny:1").code == 0
    if kind == "directory":
        (tmp_path / "layout").mkdir()
        subprocess.run(["tar", "-xf", saved, "-C", tmp_path / "layout"], check=True)
        saved = tmp_path / "layout"
    result = shop.run("commit", "tiny:1", str(saved), "out:1")
    problem, hint = result.err.splitlines()
    assert (result.code, problem) == (2, "ERROR: this is an image archive or layout, not a root file system")
    assert hint == "hint: use pybuild load for it"
    assert shop.names() == ["docker.io/library/tiny:1"]


@pytest.mark.parametrize(
    ("names", "images"),
    [
        (("blobs", "index.json", "oci-layout"), True),
        ((f"{'0' * 64}.json", f"{'1' * 64}", "manifest.json"), True),
        ((f"sha256:{'0' * 64}", f"{'1' * 64}.tar.gz", "manifest.json"), True),
        ((f"{'1' * 64}", "repositories"), True),
        (("app", "index.html", "manifest.json"), False),
        (("bin", "etc", "index.json", "oci-layout"), False),
        ((f"{'1' * 64}",), False),
    ],
)
def test_what_stands_at_the_top_tells_images_from_files(names: tuple[str, ...], images: bool) -> None:
    assert are_of_images(names) == images


def test_what_an_engine_puts_into_every_container_is_no_change(shop: Shop, tmp_path: Path) -> None:
    base = shop.image("tiny:1", layers=(BASE,))
    tree = exported(shop, "tiny:1", tmp_path / "tree")
    for name in ("dev/pts", "dev/shm", "proc", "sys"):
        (tree / name).mkdir(parents=True)
    for name in (".dockerenv", "dev/console", "etc/hosts", "etc/hostname", "etc/resolv.conf"):
        (tree / name).write_text("generated\n" if name == "etc/hosts" else "")
    (tree / "etc" / "mtab").symlink_to("/proc/mounts")
    assert shop.run("commit", "tiny:1", str(tree), "same:1").code == 0
    assert named(shop, "same:1").config.diff_ids == base.config.diff_ids
    (tree / "etc" / "motd").write_bytes(b"changed\n")
    (tree / "dev" / "mine").mkdir()
    assert shop.run("commit", "tiny:1", str(tree), "other:1").code == 0
    assert [path for path in top(shop, named(shop, "other:1")) if path not in {"", "dev", "etc"}] == [
        "dev/mine",
        "etc/motd",
    ]


def test_files_of_these_names_count_where_no_container_was(shop: Shop, tmp_path: Path) -> None:
    shop.image("tiny:1", layers=(BASE,))
    tree = exported(shop, "tiny:1", tmp_path / "tree")
    (tree / "etc" / "hosts").write_text("127.0.0.1 here\n")
    shop.run("commit", "tiny:1", str(tree), "new:1")
    assert "etc/hosts" in top(shop, named(shop, "new:1"))


def test_a_time_that_lost_its_fraction_in_an_archive_is_no_change(shop: Shop, tmp_path: Path) -> None:
    shop.image("tiny:1", layers=(BASE, {"file": b"1"}))
    tree = exported(shop, "tiny:1", tmp_path / "tree")
    snapshot = shop.store.snapshot(named(shop, "tiny:1"))
    assert snapshot is not None
    for path in (shop.store.root / "snapshots" / snapshot).rglob("file"):
        # As in a snapshot that a step of this machine made.
        os.utime(path, ns=(0, path.stat().st_mtime_ns + 123_456_789))
    (tree / "new").write_bytes(b"2")
    assert shop.run("commit", "tiny:1", str(tree), "tiny:2").code == 0
    assert top(shop, named(shop, "tiny:2")) == ["new"]
