"""Hostile layers; the numbers are those of the attack classes in the notes on security (B01 to B14, B18)."""

import errno
import gc
import gzip
import io
import os
import shutil
import stat
import struct
import subprocess
from contextlib import nullcontext
from pathlib import Path

import pytest

from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import DigestMismatch, LayerError
from pybuild.builder.oci.layers.unpack import Unpacked, entries, unpack
from pybuild.builder.oci.layers.unpack_directory import Directory, added
from pybuild.builder.oci.layers.unpack_entry import Unpacker
from pybuild.builder.oci.layers.unpack_tree import UnpackTree
from pybuild.builder.oci.limits import Limits
from pybuild.builder.oci.tar.entry import Entry, EntryKind
from pybuild.builder.oci.tar.entry_data import EntryData
from pybuild.runtime.stopping import stoppable
from tests.helpers.hosts import need_root
from tests.helpers.leftovers import descriptors_below
from tests.helpers.rawtar import (
    END,
    archive,
    base256,
    canary,
    directory,
    file,
    gnu_long,
    hardlink,
    header,
    padded,
    pax,
    symlink,
    watched,
)
from tests.helpers.sparse import on_disk
from tests.helpers.trees import Tree
from tests.helpers.unpacking import Ground


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    need_root()
    return Ground(tmp_path)


def paths(tree: Tree) -> list[str]:
    return sorted(tree)[1:]


def into(target: Path, data: bytes, *, diff_id: Digest | None = None, limits: Limits | None = None) -> Unpacked:
    target.mkdir(exist_ok=True)
    fd = os.open(target, os.O_RDONLY)
    try:
        return unpack(io.BytesIO(data), fd, overlay=True, diff_id=diff_id, limits=limits or Limits())
    finally:
        os.close(fd)


# what a layer says is what there is


def test_everything_that_a_layer_says_is_done(ground: Ground) -> None:
    tree = ground.apply(
        archive(
            directory("./", 0o751, mtime=3),
            directory("d", 0o2750, uid=5, gid=6, mtime=7),
            pax(("SCHILY.xattr.user.note", b"n\0te"), ("mtime", "-5")),
            file("d/f", b"data", mode=0o4755, uid=1000, gid=70),
            symlink("d/s", "/nowhere", uid=9, gid=9, mtime=11),
            pax(("mtime", "-5")),
            hardlink("h", "d/f", mode=0o4755, uid=1000, gid=70),
            header("c", b"3", mode=0o620, device=(5, 1)),
            header("b", b"4", mode=0o660, device=(8, 0)),
            header("p", b"6", mode=0o7600, mtime=4),
        )
    )
    assert tree["/"].describe() == "drwxr-x--x 0:0 "[:-1]
    assert (tree["/"].mtime, tree["/d"].mtime, tree["/d/f"].mtime, tree["/d/s"].mtime) == (3, 7, -5, 11)
    assert tree["/d"].describe() == "drwxr-s--- 5:6"
    assert tree["/d/f"].describe() == "-rwsr-xr-x 1000:70 data"
    assert tree["/d/f"].xattrs == (("user.note", b"n\0te"),)
    assert tree["/d/s"].describe() == "lrwxrwxrwx 9:9 -> /nowhere"
    assert tree["/h"].same == tree["/d/f"].same == "/d/f"
    assert tree["/c"].describe() == "crw--w---- 0:0 5,1"
    assert tree["/b"].describe() == "brw-rw---- 0:0 8,0"
    assert stat.S_IMODE(tree["/p"].mode) == 0o7600


def test_the_umask_of_the_builder_changes_nothing(ground: Ground) -> None:
    layer = archive(
        directory("d", 0o777), file("d/f", mode=0o666), header("p", b"6", mode=0o666), file("x/y", mode=0o666)
    )
    before = os.umask(0o077)
    try:
        tree = ground.apply(layer)
    finally:
        os.umask(before)
    assert {stat.S_IMODE(tree[path].mode) for path in ("/d/f", "/p", "/x/y")} == {0o666}
    assert (stat.S_IMODE(tree["/d"].mode), stat.S_IMODE(tree["/x"].mode)) == (0o777, 0o755)


def test_of_two_entries_with_one_name_the_last_holds(ground: Ground) -> None:
    tree = ground.apply(
        archive(
            file("a", b"old"), file("a", b"new"),
            directory("b"), file("b/gone"), file("b", b"now a file"),
            file("c"), directory("c", 0o700), file("c/in"),
            symlink("d", "c"), file("d", b"no link"),
            pax(("SCHILY.xattr.user.a", "1")), directory("e", 0o700), directory("e", 0o755),
        )
    )  # fmt: skip
    assert paths(tree) == ["/a", "/b", "/c", "/c/in", "/d", "/e"]
    assert [tree[path].text for path in ("/a", "/b", "/d")] == [b"new", b"now a file", b"no link"]
    assert (tree["/e"].xattrs, stat.S_IMODE(tree["/e"].mode)) == ((), 0o755)


def test_sparse_files_stay_sparse(tmp_path: Path) -> None:
    size = 1 << 30
    layer = archive(pax(("GNU.sparse.size", str(size)), ("GNU.sparse.map", "4096,5,1000000,1")), file("f", b"helloX"))
    into(tmp_path / "root", layer)
    found = (tmp_path / "root/f").stat()
    assert found.st_size == size
    assert found.st_blocks < 100
    with (tmp_path / "root/f").open("rb") as content:
        content.seek(4096)
        assert content.read(6) == b"hello\0"
        content.seek(1_000_000)
        assert content.read(1) == b"X"


# B01, B04: names that climb


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


# B02: links on the way


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


# B03: hard links


@pytest.mark.parametrize(
    "target",
    [
        "../../../../../../{canary}",
        "{canary}",
        "l/canary",
        "proc/self/fd/0",
        "/proc/self/fd/3",
        "d",
        "h",
        "later",
        "",
        ".",
    ],
)
def test_hard_links_lead_to_files_of_the_image_only(ground: Ground, target: str) -> None:
    target = target.format(canary=os.fspath(ground.canary))
    links = [directory("d"), symlink("l", os.fspath(ground.outside)), hardlink("h", target)]
    layer = archive(*links, file("h", b"overwrite"), file("later"))
    with pytest.raises(LayerError):
        ground.apply(layer)


def test_writing_to_a_hard_link_does_not_write_through_it(ground: Ground) -> None:
    tree = ground.apply(archive(file("a", b"first"), hardlink("b", "a")), archive(file("b", b"second")))
    assert (tree["/a"].text, tree["/b"].text) == (b"first", b"second")
    tree = ground.apply(archive(file("a", b"first"), hardlink("b", "a"), file("b", b"second", mode=0o777)))
    assert tree["/a"].describe() == "-rw-r--r-- 0:0 first"


def test_a_hard_link_may_lead_to_what_a_lower_layer_has(ground: Ground) -> None:
    lower = archive(
        pax(("SCHILY.xattr.user.a", "1")), file("d/a", b"data", mode=0o4711, uid=3, mtime=5), symlink("d/l", "a")
    )
    same = {"mode": 0o4711, "uid": 3, "mtime": 5}
    tree = ground.apply(lower, archive(hardlink("b", "d/a", **same), hardlink("m", "d/l")))
    assert tree["/b"].same == tree["/d/a"].same == "/b"
    assert tree["/d/a"].describe() == "-rws--x--x 3:0 data"
    assert (tree["/d/a"].mtime, tree["/d/a"].xattrs) == (5, (("user.a", b"1"),))
    assert tree["/m"].link == "a"


def test_the_last_header_of_a_file_counts_though_it_is_that_of_a_hard_link(ground: Ground) -> None:
    link = pax(("SCHILY.xattr.user.b", "2")) + hardlink("b", "a", mode=0o4750, uid=7, gid=8, mtime=9)
    tree = ground.apply(archive(file("a", b"data", uid=3, mtime=5), link))
    assert tree["/a"] == tree["/b"]
    assert tree["/a"].describe() == "-rwsr-x--- 7:8 data"
    assert (tree["/a"].mtime, tree["/a"].xattrs) == (9, (("user.b", b"2"),))


def test_a_hard_link_to_a_link_is_one_to_the_link_itself(ground: Ground) -> None:
    tree = ground.apply(archive(file("f", b"data"), symlink("l", "f"), hardlink("h", "l")))
    assert (tree["/h"].link, tree["/l"].link) == ("f", "f")
    tree = ground.apply(archive(symlink("l", os.fspath(ground.canary)), hardlink("h", "l")))
    assert tree["/h"].link == os.fspath(ground.canary)


def test_a_hard_link_does_not_find_what_its_layer_deletes(ground: Ground) -> None:
    with pytest.raises(LayerError, match="no file"):
        ground.apply(archive(file("a")), archive(file(".wh.a"), hardlink("b", "a")))


def test_a_hard_link_in_the_place_of_its_own_directory_is_refused(ground: Ground) -> None:
    with pytest.raises(LayerError, match="inside itself"):
        ground.apply(archive(file("d/f"), hardlink("d", "d/f")))


# B05: the root


@pytest.mark.parametrize("name", [".", "./", "/", "./.", "", "a/.."])
def test_the_root_is_a_directory_and_stays_the_one_it_is(ground: Ground, name: str) -> None:
    for entry in (symlink(name, os.fspath(ground.outside)), file(name, b"x"), hardlink(name, "f"), header(name, b"6")):
        with pytest.raises(LayerError, match="root"):
            ground.apply(archive(file("f"), entry))
    assert ground.apply(archive(directory(name, 0o700, uid=4)))["/"].describe() == "drwx------ 4:0"


# B06: status through links


def test_status_never_goes_through_a_link(ground: Ground) -> None:
    canary = os.fspath(ground.canary)
    tree = ground.apply(archive(symlink("a", canary, mode=0o7777, uid=7, gid=7, mtime=1)))
    assert tree["/a"].describe() == f"lrwxrwxrwx 7:7 -> {canary}"
    tree = ground.apply(archive(symlink("a", os.fspath(ground.outside)), directory("a", 0o777, uid=7)))
    assert tree["/a"].describe() == "drwxrwxrwx 7:0"
    ground.apply(archive(symlink("a", os.fspath(ground.outside))), archive(directory("a", 0o777, uid=7), file("a/f")))


# B09: what belongs to overlayfs


@pytest.mark.parametrize("key", ["opaque", "redirect", "metacopy", "whiteout", "origin", "upper"])
def test_overlay_metadata_in_a_layer_is_dropped(tmp_path: Path, ground: Ground, key: str) -> None:
    lower = archive(file("d/f", b"lower"), file("secret/f", b"secret"), file("g", b"lower"))
    smuggled = [pax((f"{space}.overlay.{key}", "/secret")) for space in ("SCHILY.xattr.trusted", "SCHILY.xattr.user")]
    tree = ground.apply(
        lower, archive(smuggled[0], directory("d"), smuggled[1], directory("d"), smuggled[0], file("g"))
    )
    assert tree["/d/f"].text == b"lower"
    into(tmp_path / "root", archive(smuggled[0], directory("d"), smuggled[1], file("f")))
    assert os.listxattr(tmp_path / "root/d") == os.listxattr(tmp_path / "root/f") == []


def test_a_device_that_is_a_whiteout_to_overlayfs_is_not_made(ground: Ground) -> None:
    devices = [header("a", b"3"), header("c", b"3"), header("n", b"3", device=(1, 3))]
    tree = ground.apply(archive(file("a"), file("b")), archive(*devices))
    assert paths(tree) == ["/a", "/b", "/n"]
    assert [text.partition(":")[0] for text in ground.skipped] == ["a", "c"]


def test_devices_are_left_out_where_they_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_more: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "mknod", refuse)
    done = into(tmp_path / "root", archive(header("n", b"3", device=(1, 3)), file("f")))
    assert done == Unpacked(2, ("n: a device node",))
    assert os.listdir(tmp_path / "root") == ["f"]


# B10: capabilities and attributes


def test_capabilities_are_set_after_the_owner_and_name_no_user_of_the_host(ground: Ground) -> None:
    v2 = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)
    v3 = struct.pack("<IIIIII", 0x03000001, 1 << 13, 0, 0, 0, 4242)
    for value in (v2, v3):
        tree = ground.apply(
            archive(pax(("SCHILY.xattr.security.capability", value)), file("f", b"x", uid=1000, mode=0o4755))
        )
        assert tree["/f"].xattrs == (("security.capability", v2),)
        assert stat.S_IMODE(tree["/f"].mode) == 0o4755


def test_attributes_of_this_host_are_left_out(ground: Ground) -> None:
    records = [(f"SCHILY.xattr.{name}", "x") for name in ("security.selinux", "security.ima", "trusted.x", "user.kept")]
    tree = ground.apply(archive(pax(*records), file("f"), pax(*records), directory("d")))
    assert tree["/f"].xattrs == tree["/d"].xattrs == (("user.kept", b"x"),)


# B12, B13, B14, B18: streams


def test_a_decompression_bomb_is_stopped_and_needs_no_space(tmp_path: Path) -> None:
    layer = gzip.compress(archive(file("f", bytes(64 << 20))), 1)
    with pytest.raises(LayerError, match="more than"):
        into(tmp_path / "root", layer, limits=Limits(total=8 << 20))
    assert sum(path.stat().st_size for path in (tmp_path / "root").iterdir()) <= 8 << 20


def test_a_layer_that_would_fill_the_disk_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left") as caught:
        into(tmp_path / "root", archive(file("big/file", b"x")), limits=Limits(reserve=1 << 60))
    assert caught.value.filename == "big/file"


def test_too_many_things_to_remember_are_refused(tmp_path: Path) -> None:
    for entry in ("d{}/", ".wh.{}"):
        many = [directory(entry.format(n)) if entry[0] == "d" else file("d/" + entry.format(n)) for n in range(50)]
        with pytest.raises(LayerError, match="too many"):
            into(tmp_path / "root", archive(directory("d"), *many), limits=Limits(directories=20))


def test_headers_that_lie_leave_nothing_outside(ground: Ground) -> None:
    for entry in (header("a", size=base256(1 << 62, 12)), header("a", size=base256(-1, 12)), header("a", b"Z")):
        with pytest.raises(LayerError):
            ground.apply(entry + padded(b"x") + END)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_the_diff_id_covers_every_byte(tmp_path: Path, pack: type[bytes]) -> None:
    plain = archive(file("f", b"data"))
    into(tmp_path / "a", pack(plain), diff_id=Digest.of(plain))
    for other in (plain + b"x", plain + bytes(512), archive(file("f", b"Data")), plain + gzip.compress(b"")):
        with pytest.raises(DigestMismatch):
            into(tmp_path / "b", pack(other), diff_id=Digest.of(plain))
    into(tmp_path / "c", pack(plain + b"trailing" * 99), diff_id=Digest.of(plain + b"trailing" * 99))
    assert (tmp_path / "c/f").read_bytes() == b"data"


def test_a_second_gzip_member_counts_and_garbage_does_not_pass(tmp_path: Path) -> None:
    plain = archive(file("f", b"data"))
    two = gzip.compress(plain[:300]) + gzip.compress(plain[300:])
    into(tmp_path / "a", two, diff_id=Digest.of(plain))
    for bad in (two + b"x", two[:-1], gzip.compress(plain)[:-8], gzip.compress(gzip.compress(plain))):
        with pytest.raises(LayerError):
            into(tmp_path / "b", bad, diff_id=Digest.of(plain))


def test_other_digest_algorithms_verify_too(tmp_path: Path) -> None:
    import hashlib

    plain = archive(file("f"))
    into(tmp_path / "a", plain, diff_id=Digest.parse("sha512:" + hashlib.sha512(plain).hexdigest()))


def test_an_index_can_be_made_without_unpacking(tmp_path: Path) -> None:
    layer = archive(directory("d"), file("d/f", b"x"), file("d/.wh.g"), symlink("l", "d"))
    listed = list(entries(io.BytesIO(gzip.compress(layer))))
    assert [(entry.path, entry.kind) for entry in listed] == [
        ("d", EntryKind.DIRECTORY),
        ("d/f", EntryKind.FILE),
        ("d/.wh.g", EntryKind.FILE),
        ("l", EntryKind.SYMLINK),
    ]
    (tmp_path / "root").mkdir()
    fd = os.open(tmp_path / "root", os.O_RDONLY)
    try:
        done = unpack(io.BytesIO(layer), fd, overlay=False, diff_id=None)
    finally:
        os.close(fd)
    assert done == Unpacked(4, ())


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


def test_zeros_become_holes(ground: Ground, tmp_path: Path) -> None:
    content = b"x" + bytes(8 << 20) + b"y" * 70_000 + bytes(4 << 20)
    into(tmp_path / "out", archive(file("f", content), file("zeros", bytes(1 << 20))))

    assert (tmp_path / "out" / "f").read_bytes() == content
    assert on_disk(tmp_path / "out" / "f") < 1 << 20
    assert (tmp_path / "out" / "zeros").read_bytes() == bytes(1 << 20)
    assert on_disk(tmp_path / "out" / "zeros") < 1 << 18


def test_unpacking_stops_when_it_is_told_to(ground: Ground, tmp_path: Path) -> None:
    def stop() -> None:
        raise InterruptedError(errno.EINTR, "stopped")

    with stoppable(stop), pytest.raises(InterruptedError, match="stopped"):
        into(tmp_path / "out", archive(file("f", b"content")))
    assert not (tmp_path / "out" / "f").exists()


@pytest.mark.parametrize(("name", "size"), [("note", 70_000), ("n" * 300, 1)])
def test_an_attribute_over_the_limits_of_the_kernel_is_named(ground: Ground, name: str, size: int) -> None:
    layer = archive(pax((f"SCHILY.xattr.user.{name}", b"x" * size)), file("f"))

    with pytest.raises(LayerError, match=f"cannot unpack 'f': the attribute 'user.{name}' of {size} bytes"):
        ground.apply(layer)


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
