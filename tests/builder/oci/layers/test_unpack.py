"""Hostile layers; the numbers are those of the attack classes in the notes on security (B01 to B14, B18)."""

import errno
import gzip
import io
import os
import stat
from pathlib import Path

import pytest

from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import DigestMismatch, LayerError
from pybuild.builder.oci.layers.unpack import Unpacked, entries, unpack
from pybuild.builder.oci.limits import Limits
from pybuild.builder.oci.tar.entry import EntryKind
from pybuild.runtime.stopping import stoppable
from tests.helpers.rawtar import END, archive, base256, directory, file, hardlink, header, padded, pax, symlink
from tests.helpers.sparse import on_disk
from tests.helpers.unpacking import Ground, into, paths


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
