"""Names, symlinks and directories of hostile layers (B01, B02 and B04 of the notes on security)."""

import gc
import io
import os
import shutil
import subprocess
from contextlib import nullcontext
from pathlib import Path

import pytest

from pybuild.builder.oci.errors import LayerError
from pybuild.builder.oci.layers.unpack import unpack
from pybuild.builder.oci.layers.unpack_directory import Directory, added
from pybuild.builder.oci.layers.unpack_entry import Unpacker
from pybuild.builder.oci.layers.unpack_tree import UnpackTree
from pybuild.builder.oci.tar.entry import Entry
from pybuild.builder.oci.tar.entry_data import EntryData
from tests.helpers.leftovers import descriptors_below
from tests.helpers.rawtar import archive, canary, directory, file, gnu_long, hardlink, symlink, watched
from tests.helpers.unpacking import Ground, into, paths


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "./..//x", "../../../../../../../x", "//x", "/../x"])
def test_no_name_climbs_out_of_the_root(ground: Ground, name: str) -> None:
    assert paths(ground.apply(archive(file(name, b"d")))) == ["/x"]
    assert paths(ground.apply(archive(file("y"), file(name), hardlink("h", name)))) == ["/h", "/x", "/y"]
    assert "/x" not in ground.apply(archive(file("x"), file("y")), archive(file(f"{name}/../.wh.x")))


def test_a_path_of_links_longer_than_the_kernel_resolves_stays_inside(tmp_path: Path) -> None:
    # The archive of CVE-2025-4517: links that fold a path of thousands of characters, then a climb behind it.
    outside = tmp_path / "outside"
    outside.mkdir()
    canary(outside)
    before = watched(outside)
    parts, path = [], ""
    for letter in "abcdefghijklmnop":
        parts += [gnu_long(path + "d" * 247), directory("x"), gnu_long(path + letter), symlink("x", "d" * 247)]
        path += "d" * 247 + "/"
    last = "a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/" + "l" * 254
    parts += [gnu_long(last), symlink("x", "../" * 16), symlink("escape", f"{last}/../../../..")]
    into(tmp_path / "root", archive(*parts, file("escape/outside/canary", b"!"), file("escape/planted", b"!")))
    assert (tmp_path / "root/outside/canary").read_bytes() == (tmp_path / "root/planted").read_bytes() == b"!"
    with pytest.raises(LayerError, match="no file"):
        into(tmp_path / "other", archive(*parts, hardlink("flag", "escape/outside/canary")))
    assert watched(outside) == before


def test_an_absolute_link_counts_from_the_root_wherever_it_stands(ground: Ground) -> None:
    tree = ground.apply(archive(directory("d/e"), symlink("d/e/a", "/t"), file("d/e/a/f"), hardlink("h", "d/e/a/f")))
    assert paths(tree) == ["/d", "/d/e", "/d/e/a", "/h", "/t", "/t/f"]
    assert "/t/g" in ground.apply(archive(directory("d"), symlink("d/a", "/t")), archive(file("d/a/g")))


@pytest.mark.parametrize("way", ["absolute", "relative", "chain"])
def test_links_to_the_outside_are_resolved_inside(ground: Ground, way: str) -> None:
    outside = os.fspath(ground.outside)
    links = {
        "absolute": [symlink("a", outside)],
        "relative": [symlink("a", "../" * 30 + outside)],
        "chain": [
            symlink("a", "b"),
            symlink("b", "c/d"),
            directory("c"),
            symlink("c/d", "../e/."),
            symlink("e", outside),
        ],
    }[way]
    attack = [file("a/canary", b"evil"), directory("a", 0o777), symlink("a/l", "x"), hardlink("h", "a/canary")]
    tree = ground.apply(archive(*links, attack[0]))
    assert tree[outside + "/canary"].text == b"evil"
    # The link planted by one layer, used by the next.
    for entry in (*attack[:2], file("a/.wh.canary"), file("a/.wh..wh..opq"), directory("a/canary"), file("a/planted")):
        ground.apply(archive(*links), archive(entry))
    with pytest.raises(LayerError):
        ground.apply(archive(*links), archive(attack[3]))


def test_a_file_in_the_place_of_a_link_does_not_follow_it(ground: Ground) -> None:
    for target in (os.fspath(ground.canary), "../" * 40 + os.fspath(ground.canary), os.fspath(ground.outside / "new")):
        tree = ground.apply(archive(symlink("a", target), file("a", b"own")))
        assert tree["/a"].describe() == "-rw-r--r-- 0:0 own"
        tree = ground.apply(archive(symlink("a", target)), archive(file("a", b"own")))
        assert tree["/a"].text == b"own"


@pytest.mark.parametrize("is_listed", [True, False])
def test_a_directory_that_became_a_link_is_not_entered_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_listed: bool
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "root").mkdir()
    fd = os.open(tmp_path / "root", os.O_RDONLY)

    unswapped = Unpacker.add

    def swap(self: Unpacker, entry: Entry, data: EntryData) -> None:
        # Two hundred directories later its descriptor is closed, and it has to be opened once more.
        if entry.path == "d/late":
            shutil.rmtree(tmp_path / "root/d")
            (tmp_path / "root/d").symlink_to(tmp_path / "outside")
        unswapped(self, entry, data)

    monkeypatch.setattr(Unpacker, "add", swap)
    first = directory("d") if is_listed else file("d/f")
    layer = archive(first, *[directory(f"w{n}") for n in range(200)], file("d/late", b"planted"))
    # A directory that was listed is forgotten and looked up once more: then the symlink counts from the root.
    refused = nullcontext() if is_listed else pytest.raises(LayerError, match="cannot unpack 'd/late'")
    try:
        with refused:
            unpack(io.BytesIO(layer), fd, overlay=True, diff_id=None)
    finally:
        os.close(fd)
    assert list((tmp_path / "outside").iterdir()) == []


def test_links_in_a_circle_are_refused(ground: Ground) -> None:
    for links in ([symlink("a", "a")], [symlink("a", "b"), symlink("b", "a")], [symlink("a", "a/a")]):
        with pytest.raises(LayerError, match="symbolic links"):
            ground.apply(archive(*links, file("a/f")))


def test_a_file_is_no_directory(ground: Ground) -> None:
    for layers in ((archive(file("a"), file("a/b")),), (archive(file("a")), archive(file("a/b")))):
        with pytest.raises(LayerError, match="no directory"):
            ground.apply(*layers)


def test_a_dangling_link_on_the_way_gets_its_target_made(ground: Ground) -> None:
    assert paths(ground.apply(archive(symlink("a", "b/c"), file("a/f")))) == ["/a", "/b", "/b/c", "/b/c/f"]


def test_descriptors_are_closed_and_few_are_needed(tmp_path: Path) -> None:
    deep = "/".join("d" for _ in range(1200))
    layer = archive(gnu_long(deep + "/f"), file("x", b"end"), *[file(f"w{n}/f") for n in range(400)], file("d/late"))
    into(tmp_path / "root", layer)
    with pytest.raises(LayerError):
        into(tmp_path / "root", archive(file("a/b/c"), file("a/b/c/d")))
    assert descriptors_below(tmp_path) == []
    assert len(list((tmp_path / "root").glob("w*/f"))) == 400
    subprocess.run(["rm", "-r", tmp_path / "root"], check=True)  # too deep for the clean-up of pytest


def test_trees_deeper_than_a_path_can_be_long_are_made(ground: Ground, tmp_path: Path) -> None:
    before = watched(ground.outside)
    links = [symlink("a", "x" * 250 + "/" + "y" * 250), gnu_long("a/" + "z" * 250), symlink("s", "/a/" + "w" * 250)]
    into(tmp_path / "root", archive(*links, gnu_long("a/" + "z" * 250 + "/f"), file("f")))
    assert watched(ground.outside) == before


def test_a_directory_without_anything_takes_little_memory() -> None:
    empty = Directory(None, "d")
    own = {id(value) for value in (empty.whiteouts, empty.links, empty.copied, empty.made)}

    assert len(own) == 1
    empty.made = added(empty.made, "a")
    assert (empty.made, Directory(None, "e").made) == ({"a"}, set())


def test_what_was_remembered_of_directories_takes_no_memory_afterwards(tmp_path: Path) -> None:
    gc.collect()
    gc.disable()
    try:
        into(tmp_path / "target", archive(*(directory(f"a/{number}") for number in range(10))))
        assert [each for each in gc.get_objects() if isinstance(each, Directory)] == []
    finally:
        gc.enable()


def test_directories_that_were_listed_are_not_kept_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    most = []

    def count(tree: UnpackTree) -> None:
        most.append(len(list(tree.directories())))

    monkeypatch.setattr("pybuild.builder.oci.layers.unpack_directory._OPEN_DIRECTORIES", 10)
    monkeypatch.setattr("pybuild.builder.oci.layers.unpack_entry.finish", count)
    names = [f"d{outer}{inner}" for outer in range(20) for inner in ("", "/a", "/a/b", "/c")]
    into(tmp_path / "root", archive(directory("", mtime=1), *(directory(name, mtime=2) for name in names)))

    assert most[0] < 15
    assert {(tmp_path / "root" / name).stat().st_mtime for name in names[:40]} == {2}
