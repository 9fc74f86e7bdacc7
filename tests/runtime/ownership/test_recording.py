import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pybuild.runtime.ownership import record, recording
from pybuild.runtime.ownership.record import FileOwner
from pybuild.runtime.paths.safepath import scan_directory
from pybuild.runtime.snapshots.id_map import check_owner
from pybuild.runtime.snapshots.tree_copies import copy_tree
from tests.runtime.forked import returned


def _recorded(function: Callable[[], Any]) -> Any:
    """Return what *function* returns in a process that records owners."""

    def work() -> Any:
        recording.start()
        return function()

    return returned(work)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with one of each kind and owners that are recorded; the table is beside it."""
    directory = tmp_path / "tree"
    directory.mkdir()

    def make() -> None:
        recording.use_table(tmp_path / "owners")
        (directory / "inner").mkdir()
        (directory / "inner/file").write_text("x")
        (directory / "link").symlink_to("inner/file")
        os.mkfifo(directory / "fifo")
        os.mknod(directory / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        for number, name in enumerate(("inner", "inner/file", "link", "fifo", "null"), 10):
            os.chown(directory / name, number, number + 100, follow_symlinks=False)

    _recorded(make)
    return directory


_EXPECTED = {"fifo": (13, 113), "inner": (10, 110), "inner/file": (11, 111), "link": (12, 112), "null": (14, 114)}


def _owners(directory: Path) -> dict[str, tuple[int, int]]:
    recording.use_table(directory.parent / "owners")
    found = {path: path.lstat() for path in directory.rglob("*")}
    return {os.fspath(path.relative_to(directory)): (each.st_uid, each.st_gid) for path, each in found.items()}


def test_owners_are_shown_by_a_process_that_records_and_by_no_other(tree: Path) -> None:
    assert _recorded(lambda: _owners(tree)) == _EXPECTED
    assert {(found.st_uid, found.st_gid) for found in map(os.lstat, tree.rglob("*"))} == {(0, 0)}


def test_each_way_to_ask_tells_the_same(tree: Path) -> None:
    def ask() -> list[tuple[int, int, int]]:
        recording.use_table(tree.parent / "owners")
        above = os.open(tree, os.O_RDONLY)
        handle = os.open("null", os.O_PATH, dir_fd=above)
        scanned = {entry.name: entry.stat for entry in scan_directory(above)}["null"]
        found = [os.stat("null", dir_fd=above), os.lstat(tree / "null"), os.fstat(handle), os.stat(handle), scanned]
        return [(each.st_uid, each.st_mode, each.st_rdev) for each in found]

    assert _recorded(ask) == [(14, stat.S_IFCHR | 0o644, os.makedev(1, 3))] * 5


def test_a_copy_of_a_tree_has_its_owners(tree: Path) -> None:
    def copy() -> dict[str, tuple[int, int]]:
        recording.use_table(tree.parent / "owners")
        (tree.parent / "copy").mkdir()
        copy_tree(tree, tree.parent / "copy")
        return _owners(tree.parent / "copy")

    assert _recorded(copy) == _EXPECTED


def test_a_change_of_owner_clears_set_id_bits_and_keeps_what_is_not_named(tree: Path) -> None:
    file = tree / "inner/file"
    file.chmod(0o6755)

    def change() -> tuple[int, int]:
        os.chown(file, -1, 7)
        found = file.stat()
        return found.st_uid, found.st_gid

    assert _recorded(change) == (11, 7)
    assert stat.S_IMODE(file.stat().st_mode) == 0o755
    assert record.read(str(file)) == FileOwner(11, 7)


def test_the_record_is_no_attribute_of_the_file(tree: Path) -> None:
    os.setxattr(tree / "inner", "user.other", b"1")
    assert _recorded(lambda: os.listxattr(tree / "inner")) == ["user.other"]


def test_a_whiteout_stays_one(tmp_path: Path) -> None:
    _recorded(lambda: os.mknod(tmp_path / "gone", stat.S_IFCHR, 0))
    assert (tmp_path / "gone").stat().st_rdev == 0
    assert stat.S_ISCHR((tmp_path / "gone").stat().st_mode)


def test_no_owner_is_beyond_the_ids_of_a_process_that_records() -> None:
    assert _recorded(lambda: check_owner(4_000_000_000, 1, "/file")) is None
