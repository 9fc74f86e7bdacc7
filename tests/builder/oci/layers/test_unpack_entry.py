"""Hard links, owners, devices and attributes of hostile layers."""

import os
import stat
import struct
from pathlib import Path

import pytest

from pybuild.builder.oci.errors import LayerError
from pybuild.builder.oci.layers.unpack import Unpacked
from tests.helpers.rawtar import archive, directory, file, hardlink, header, pax, symlink
from tests.helpers.unpacking import Ground, into, paths


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


@pytest.mark.parametrize("name", [".", "./", "/", "./.", "", "a/.."])
def test_the_root_is_a_directory_and_stays_the_one_it_is(ground: Ground, name: str) -> None:
    for entry in (symlink(name, os.fspath(ground.outside)), file(name, b"x"), hardlink(name, "f"), header(name, b"6")):
        with pytest.raises(LayerError, match="root"):
            ground.apply(archive(file("f"), entry))
    assert ground.apply(archive(directory(name, 0o700, uid=4)))["/"].describe() == "drwx------ 4:0"


def test_status_never_goes_through_a_link(ground: Ground) -> None:
    canary = os.fspath(ground.canary)
    tree = ground.apply(archive(symlink("a", canary, mode=0o7777, uid=7, gid=7, mtime=1)))
    assert tree["/a"].describe() == f"lrwxrwxrwx 7:7 -> {canary}"
    tree = ground.apply(archive(symlink("a", os.fspath(ground.outside)), directory("a", 0o777, uid=7)))
    assert tree["/a"].describe() == "drwxrwxrwx 7:0"
    ground.apply(archive(symlink("a", os.fspath(ground.outside))), archive(directory("a", 0o777, uid=7), file("a/f")))


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


@pytest.mark.parametrize(("name", "size"), [("note", 70_000), ("n" * 300, 1)])
def test_an_attribute_over_the_limits_of_the_kernel_is_named(ground: Ground, name: str, size: int) -> None:
    layer = archive(pax((f"SCHILY.xattr.user.{name}", b"x" * size)), file("f"))

    with pytest.raises(LayerError, match=f"cannot unpack 'f': the attribute 'user.{name}' of {size} bytes"):
        ground.apply(layer)
