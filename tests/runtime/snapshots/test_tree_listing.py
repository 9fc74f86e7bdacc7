"""Changes that are found by a listing: those that a comparison with the tree before finds, which is rarely needed."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybuild.runtime.snapshots.tree_copies import copy_tree
from pybuild.runtime.snapshots.tree_listing import list_tree, listed_changes, note_returned
from tests.helpers.hosts import need_root
from tests.runtime.deep import go_down

OLD = 10**18


class Listed:
    """A tree ``fs`` with a listing, and a copy of it as it was."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.mark = directory, directory / "mark"
        self.fs, self.old = directory / "fs", directory / "old"
        self.compared = 0
        (directory / "parent").touch()
        (self.fs / "d/e").mkdir(parents=True)
        self.old.mkdir()
        for path in ("a", "d/b", "d/e/c", "z"):
            (self.fs / path).write_text(path)
            os.utime(self.fs / path, ns=(OLD, OLD))
        os.symlink("a", self.fs / "l")

    def take(self) -> None:
        copy_tree(self.fs, self.old)
        list_tree(self.directory, self.mark)

    def changes(self) -> list[str]:
        return [f"{each.kind.value} {each.path}" for each in listed_changes(self.directory, self.mark, self._before)]

    def _before(self) -> int:
        self.compared += 1
        return os.open(self.old, os.O_PATH | os.O_DIRECTORY)


@pytest.fixture
def listed(tmp_path: Path) -> Iterator[Listed]:
    made = Listed(tmp_path)
    made.take()
    descriptors = len(os.listdir("/proc/self/fd"))
    yield made
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_a_tree_that_nobody_touched_has_no_changes(listed: Listed) -> None:
    assert (listed.changes(), listed.compared) == ([], 0)


def test_files_are_added_changed_and_deleted(listed: Listed) -> None:
    (listed.fs / "a").write_text("other")
    (listed.fs / "d/b").unlink()
    (listed.fs / "d/new/x").mkdir(parents=True)
    (listed.fs / "z").unlink()
    (listed.fs / "z").mkdir()
    found = ["modify a", "modify d", "delete d/b", "add d/new", "add d/new/x", "modify z"]
    assert (listed.changes(), listed.compared) == (found, 0)


def test_a_file_that_was_written_with_its_old_size_and_time_is_found_by_its_content(listed: Listed) -> None:
    for path, text in {"a": "b", "d/e/c": "d/e/c"}.items():
        (listed.fs / path).write_text(text)
        os.utime(listed.fs / path, ns=(OLD, OLD))
    assert (listed.changes(), listed.compared) == (["modify a"], 1)


@pytest.mark.parametrize("path", ["a", "l"])
def test_a_file_that_was_touched_alone_is_the_same(listed: Listed, path: str) -> None:
    os.chown(listed.fs / path, -1, -1, follow_symlinks=False)
    os.chown(listed.fs / path, os.getuid(), os.getgid(), follow_symlinks=False)
    assert (listed.changes(), listed.compared) == ([], 1)


def test_attributes_count(listed: Listed) -> None:
    os.setxattr(listed.fs / "z", "user.new", b"1")
    os.setxattr(listed.fs / "d", "user.new", b"1")
    assert listed.changes() == ["modify d", "modify z"]


def test_a_directory_that_was_touched_alone_is_compared_by_the_listing(listed: Listed) -> None:
    status = (listed.fs / "d").stat()
    (listed.fs / "d/new").touch()
    (listed.fs / "d/new").unlink()
    os.utime(listed.fs / "d", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (listed.changes(), listed.compared) == ([], 0)


def test_directories_that_changed_places_are_compared(listed: Listed) -> None:
    for name in ("d", "f"):
        if not (listed.fs / name).exists():
            (listed.fs / name).mkdir()
    assert listed.changes() == ["add f"]
    (listed.fs / "d").rename(listed.fs / "g")
    (listed.fs / "f").rename(listed.fs / "d")
    os.utime(listed.fs / "d", ns=(0, (listed.fs / "g").stat().st_mtime_ns))
    assert listed.changes() == ["delete d/b", "delete d/e", "add g", "add g/b", "add g/e", "add g/e/c"]


def test_files_that_changed_places_are_modified_though_neither_was_touched(tmp_path: Path) -> None:
    made = Listed(tmp_path)
    for name in ("x", "y"):
        (made.fs / name).mkdir()
        (made.fs / name / "f").write_text(name)
        os.utime(made.fs / name / "f", ns=(OLD, OLD))
        os.utime(made.fs / name, ns=(OLD, OLD))
    made.take()
    (made.fs / "x").rename(made.fs / "t")
    (made.fs / "y").rename(made.fs / "x")
    (made.fs / "t").rename(made.fs / "y")
    assert made.changes() == ["modify x/f", "modify y/f"]


def test_another_link_makes_a_file_modified(listed: Listed) -> None:
    os.link(listed.fs / "a", listed.fs / "d/link")
    assert (listed.changes(), listed.compared) == (["modify a", "modify d", "add d/link"], 0)


def test_what_was_out_of_reach_is_the_same(listed: Listed) -> None:
    os.rename(listed.fs / "a", listed.directory / "a")
    os.rename(listed.directory / "a", listed.fs / "a")
    found = (listed.fs / "a").stat()
    note_returned(listed.directory, [(found.st_ino, found.st_ctime_ns)])
    assert (listed.changes(), listed.compared) == ([], 0)
    (listed.fs / "a").write_text("b")
    os.utime(listed.fs / "a", ns=(OLD, OLD))
    assert (listed.changes(), listed.compared) == (["modify a"], 1)


def test_what_changes_in_the_moment_after_the_listing_is_found(tmp_path: Path) -> None:
    made = Listed(tmp_path)
    (tmp_path / "parent").write_text("now")
    made.take()
    (made.fs / "a").write_text("b")
    os.utime(made.fs / "a", ns=(OLD, OLD))
    assert made.changes() == ["modify a"]
    assert (tmp_path / "parent").stat().st_ctime_ns < made.mark.stat().st_ctime_ns


def test_a_clock_that_is_set_back_hides_nothing_that_a_status_shows(listed: Listed) -> None:
    (listed.fs / "a").write_text("longer")
    (listed.fs / "d/b").chmod(0o600)
    listed.mark = listed.directory / "later"
    while not listed.mark.exists() or listed.mark.stat().st_ctime_ns <= (listed.fs / "d/b").stat().st_ctime_ns:
        listed.mark.touch()
    assert listed.changes() == ["modify a", "modify d/b"]


def test_nodes_that_no_layer_holds_are_not_there(listed: Listed) -> None:
    need_root()
    os.mknod(listed.fs / "whiteout", 0o20000, os.makedev(0, 0))
    (listed.fs / "a").unlink()
    os.mknod(listed.fs / "a", 0o20000, os.makedev(0, 0))
    assert listed.changes() == ["delete a"]


def test_names_of_any_bytes_and_deep_trees_are_listed(tmp_path: Path) -> None:
    made = Listed(tmp_path)
    odd = os.fsdecode(b"\xff")
    (made.fs / odd).write_text("1")
    (made.fs / "\uffff").write_text("1")
    os.close(go_down(made.fs, 300, make=True))
    list_tree(made.directory, made.mark)
    assert made.changes() == []
    (made.fs / odd).unlink()
    deep = go_down(made.fs, 300, make=False)
    os.close(os.open("last", os.O_CREAT | os.O_WRONLY, dir_fd=deep))
    os.close(deep)
    assert [change[:60].split("/")[0] for change in made.changes()][-1] == f"delete {odd}"
    assert made.changes()[-2].endswith("/last")


def test_a_listing_that_lacks_a_directory_is_an_error(listed: Listed) -> None:
    (listed.directory / "listing").write_bytes(b"")
    with pytest.raises(EOFError):
        listed.changes()
