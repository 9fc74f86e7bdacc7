"""Copies of trees: nothing of a file is lost, and nothing takes more memory or descriptors than it must."""

import errno
import fcntl
import os
import socket
from pathlib import Path

import pytest

from pybuild.runtime.snapshots import tree_copies
from pybuild.runtime.snapshots.tree_copies import copy_tree
from tests.helpers.hosts import need_root
from tests.helpers.trees import read_directory
from tests.runtime.deep import go_down

NS = 1_234_567_890_123_456_789


def copied(tmp_path: Path) -> Path:
    (tmp_path / "new").mkdir(exist_ok=True)
    copy_tree(tmp_path / "old", tmp_path / "new")
    return tmp_path / "new"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    (tmp_path / "old").mkdir()
    return tmp_path / "old"


def test_a_copy_has_everything_that_the_tree_has(old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need_root()
    (old / "a/b").mkdir(parents=True, mode=0o711)
    for path, content in {"a/file": b"x" * 100_000, "a/b/empty": b"", os.fsdecode(b"\xff"): b"1"}.items():
        (old / path).write_bytes(content)
    os.link(old / "a/file", old / "a/b/hard")
    os.link(old / "a/file", old / "zhard")
    os.symlink("/nowhere", old / "link")
    os.mknod(old / "char", 0o20640, os.makedev(1, 3))
    os.mknod(old / "block", 0o60600, os.makedev(8, 1))
    os.mkfifo(old / "fifo", 0o622)
    monkeypatch.chdir(old)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
    (old / "setuid").touch()
    for path in [*old.rglob("*"), old]:
        os.chown(path, 12, 34, follow_symlinks=False)
    (old / "setuid").chmod(0o6755)
    (old / "a").chmod(0o3777)
    os.setxattr(old / "setuid", "security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))
    os.setxattr(old / "a", "user.x", b"1")
    os.setxattr(old / "link", "trusted.y", b"2", follow_symlinks=False)
    os.setxattr(old / "fifo", "trusted.z", b"3")
    for path in [*old.rglob("*"), old]:
        os.utime(path, ns=(NS, NS), follow_symlinks=False)

    found, expected = read_directory(copied(tmp_path)), read_directory(old)
    del expected["/socket"]
    assert found == expected
    assert {path.lstat().st_mtime_ns for path in [*(tmp_path / "new").rglob("*"), tmp_path / "new"]} == {NS}


def test_overlay_bookkeeping_is_not_copied(old: Path, tmp_path: Path) -> None:
    need_root()
    (old / "d").mkdir()
    os.setxattr(old / "d", "trusted.overlay.opaque", b"y")
    assert os.listxattr(copied(tmp_path) / "d") == []


@pytest.mark.parametrize("pieces", [[(1 << 20, b"middle")], [(0, b"start"), (3 << 20, b"later")], []])
def test_holes_stay_holes(old: Path, tmp_path: Path, pieces: list[tuple[int, bytes]]) -> None:
    with (old / "sparse").open("wb") as file:
        file.truncate(64 << 20)
        for place, text in pieces:
            os.pwrite(file.fileno(), text, place)
    new = copied(tmp_path) / "sparse"
    assert new.stat().st_size == 64 << 20
    assert new.stat().st_blocks * 512 < 1 << 20
    with new.open("rb") as file:
        for place, text in pieces:
            assert os.pread(file.fileno(), len(text) + 1, place) == text + b"\0"


def test_blocks_are_shared_where_the_file_system_can(
    old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (old / "a").write_text("one")
    (old / "b").write_text("two")
    calls = []

    def clone(new: int, request: int, source: int) -> None:
        calls.append(request)
        os.write(new, b"shared")

    monkeypatch.setattr(fcntl, "ioctl", clone)
    new = copied(tmp_path)
    assert [(new / name).read_text() for name in "ab"] == ["shared", "shared"]
    assert calls == [tree_copies._FICLONE] * 2


def test_cloning_is_tried_once_where_it_does_not_work(
    old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (old / "a").write_text("one")
    (old / "b").write_text("two")
    calls = []

    def clone(*_: object) -> None:
        calls.append(1)
        raise OSError(errno.EOPNOTSUPP, "")

    monkeypatch.setattr(fcntl, "ioctl", clone)
    new = copied(tmp_path)
    assert [(new / name).read_text() for name in "ab"] == ["one", "two"]
    assert calls == [1]


def test_a_tree_deeper_than_descriptors_and_paths_allow_is_copied(tmp_path: Path) -> None:
    for top in (tmp_path / "old", tmp_path / "copy"):
        top.mkdir(exist_ok=True)
    current = go_down(tmp_path / "old", 500, make=True)
    os.close(os.open("last", os.O_CREAT | os.O_WRONLY, dir_fd=current))
    os.link("last", "linked", src_dir_fd=current, dst_dir_fd=current)
    os.close(current)
    copy_tree(tmp_path / "old", tmp_path / "copy")
    current = go_down(tmp_path / "copy", 500, make=False)
    assert os.stat("last", dir_fd=current).st_nlink == 2
    os.close(current)
