import gzip
import io
import os
import socket
import stat
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.errors import LayerError
from pybuild.builder.oci.layers.layer import Layer, LayerWriter
from pybuild.builder.oci.layers.pack import pack_changes
from pybuild.runtime.snapshots.change import Change, ChangeKind
from tests.helpers.hosts import need_root


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    directory = tmp_path / "tree"
    directory.mkdir()
    return directory


def added(*paths: str) -> list[Change]:
    return [Change(ChangeKind.ADD, path) for path in paths]


def pack(tree: Path, changes: Iterable[Change], *, latest: int | None = None) -> Layer:
    blobs = BlobStore(tree.parent / "store")
    fd = os.open(tree, os.O_PATH | os.O_DIRECTORY)
    try:
        with LayerWriter(blobs, latest=latest) as writer:
            pack_changes(writer, fd, changes)
            return writer.commit()
    finally:
        os.close(fd)


def members(tree: Path, changes: Iterable[Change], *, latest: int | None = None) -> dict[str, tarfile.TarInfo]:
    layer = pack(tree, changes, latest=latest)
    data = gzip.decompress(BlobStore(tree.parent / "store").path(layer.descriptor.digest).read_bytes())
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        found = archive.getmembers()
    assert len({member.name for member in found}) == len(found)
    return {member.name: member for member in found}


def test_content_and_status_come_from_the_tree(tree: Path) -> None:
    (tree / "f").write_bytes(b"hello")
    (tree / "f").chmod(0o4750)
    os.utime(tree / "f", ns=(0, 1_234_567_890_999_999_999))
    (tree / "l").symlink_to("/etc/x")
    os.mkfifo(tree / "p", 0o600)
    found = members(tree, added("f", "l", "p"))
    assert list(found) == ["f", "l", "p"]
    assert (found["f"].mode, found["f"].size, found["f"].mtime) == (0o4750, 5, 1_234_567_890)
    assert (found["l"].type, found["l"].linkname) == (tarfile.SYMTYPE, "/etc/x")
    assert found["p"].type == tarfile.FIFOTYPE


def test_owners_devices_and_capabilities_are_kept(tree: Path) -> None:
    need_root()
    (tree / "f").write_bytes(b"")
    os.chown(tree / "f", 1000, 70_000)
    capability = bytes.fromhex("0100000202000000000000000000000000000000")
    os.setxattr(tree / "f", "security.capability", capability)
    os.setxattr(tree / "f", "user.note", b"n")
    os.setxattr(tree / "f", "trusted.overlay.origin", b"smuggled")
    os.mknod(tree / "c", stat.S_IFCHR | 0o620, os.makedev(5, 1))
    os.mknod(tree / "w", stat.S_IFCHR, os.makedev(0, 0))
    found = members(tree, added("c", "f", "w"))
    assert (found["f"].uid, found["f"].gid) == (1000, 70_000)
    assert found["f"].pax_headers == {
        "SCHILY.xattr.security.capability": capability.decode(),
        "SCHILY.xattr.user.note": "n",
    }
    assert (found["c"].type, found["c"].devmajor, found["c"].devminor) == (tarfile.CHRTYPE, 5, 1)
    assert "w" not in found


def test_the_directories_above_a_change_are_written_once(tree: Path) -> None:
    (tree / "a/b/c").mkdir(parents=True)
    (tree / "a").chmod(0o700)
    for name in ("a/b/1", "a/b/2", "a/b/c/3", "a/4"):
        (tree / name).write_bytes(b"")
    gone, top = Change(ChangeKind.DELETE, "a/b/gone"), Change(ChangeKind.DELETE, "top")
    found = members(tree, [*added("a/4", "a/b/1", "a/b/2", "a/b/c", "a/b/c/3"), gone, top])
    assert list(found) == ["a", "a/4", "a/b", "a/b/1", "a/b/2", "a/b/c", "a/b/c/3", "a/b/.wh.gone", ".wh.top"]
    assert found["a"].mode == 0o700


def test_an_opaque_directory_is_marked_behind_its_entry(tree: Path) -> None:
    (tree / "a/b").mkdir(parents=True)
    changes = [Change(ChangeKind.MODIFY, "a"), Change(ChangeKind.ADD, "a/b"), Change(ChangeKind.OPAQUE, "a/b")]
    assert list(members(tree, changes)) == ["a", "a/b", "a/b/.wh..wh..opq"]


def test_the_first_of_several_hard_links_is_the_file(tree: Path) -> None:
    (tree / "a").write_bytes(b"data")
    (tree / "b").hardlink_to(tree / "a")
    (tree / "z").hardlink_to(tree / "a")
    found = members(tree, added("b", "z"))
    assert (found["b"].size, found["b"].type) == (4, tarfile.REGTYPE)
    assert (found["z"].type, found["z"].linkname, found["z"].size) == (tarfile.LNKTYPE, "b", 0)


def test_sockets_are_left_out(tree: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        before = os.getcwd()
        os.chdir(tree)
        try:
            server.bind("s")
        finally:
            os.chdir(before)
        (tree / "f").write_bytes(b"")
        assert list(members(tree, added("f", "s"))) == ["f"]


def test_no_time_is_later_than_the_limit(tree: Path) -> None:
    for name, seconds in (("new", 2_000_000_000), ("old", 5)):
        (tree / name).write_bytes(b"")
        os.utime(tree / name, (seconds, seconds))
    found = members(tree, added("new", "old"), latest=1_000_000_000)
    assert (found["new"].mtime, found["old"].mtime) == (1_000_000_000, 5)


def test_names_of_any_bytes_survive(tree: Path) -> None:
    name = "\udcff-ü-" + "n" * 200
    (tree / name).write_bytes(b"")
    assert name in members(tree, added(name))


def test_a_name_that_means_a_deletion_is_refused(tree: Path) -> None:
    (tree / ".wh.f").write_bytes(b"")
    with pytest.raises(LayerError, match=r"\.wh\.f"):
        pack(tree, added(".wh.f"))


def test_a_directory_that_became_a_link_is_not_followed(tree: Path) -> None:
    (tree.parent / "outside").mkdir()
    (tree.parent / "outside/f").write_bytes(b"secret")
    (tree / "d").symlink_to(tree.parent / "outside")
    with pytest.raises(OSError, match="d"):
        pack(tree, added("d/f"))


def test_deep_trees_need_few_descriptors(tree: Path) -> None:
    deep, fds, paths = "", [os.open(tree, os.O_RDONLY)], []
    for _ in range(300):
        os.mkdir("d", dir_fd=fds[-1])
        fds.append(os.open("d", os.O_RDONLY, dir_fd=fds[-1]))
        deep = f"{deep}/d".lstrip("/")
        paths.append(deep)
    os.close(os.open("z", os.O_CREAT | os.O_WRONLY, dir_fd=fds[1]))
    for fd in fds:
        os.close(fd)
    open_before = len(os.listdir("/proc/self/fd"))
    found = members(tree, added(*paths, "d/z"))
    assert list(found) == [*paths, "d/z"]
    assert len(os.listdir("/proc/self/fd")) == open_before
