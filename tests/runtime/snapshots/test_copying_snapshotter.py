"""The snapshotter that works anywhere: whole trees, copied or taken over."""

import errno
import fcntl
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from pybuild.runtime.errors import NoSuchSnapshot, SnapshotError
from pybuild.runtime.paths.safepath import Root
from pybuild.runtime.rootfs.roots import DirectoryRoot
from pybuild.runtime.snapshots.copying_snapshotter import CopyingSnapshotter
from pybuild.runtime.snapshots.snapshotter import Active, DiskFormat


def test_a_full_disk_is_told_and_leaves_no_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = CopyingSnapshotter(tmp_path / "snapshots")
    active = keeper.prepare(None)
    (active.directory / "f").write_text("x")
    name = "sha256:" + "1" * 64
    keeper.commit(active, name)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "")

    monkeypatch.setattr(os, "copy_file_range", full)
    with pytest.raises(OSError, match="28"):
        keeper.prepare(name)
    assert list((tmp_path / "snapshots").glob("tmp-*")) == []


def test_snapshots_are_whole_trees(tmp_path: Path) -> None:
    keeper = CopyingSnapshotter(tmp_path / "snapshots")
    active = keeper.prepare(None)
    (active.directory / "f").touch()
    keeper.commit(active, "sha256:" + "1" * 64)
    active = keeper.prepare("sha256:" + "1" * 64)
    assert (active.format, keeper.root(active)) == (DiskFormat.TREE, DirectoryRoot(path=active.directory))
    assert os.listdir(active.directory) == ["f"]
    keeper.commit(active, "sha256:" + "2" * 64)
    directory = tmp_path / "snapshots" / ("sha256-" + "2" * 64)
    assert sorted(os.listdir(directory)) == ["boot", "fs", "parent"]


FIRST, SECOND, THIRD = (f"sha256:{number:064x}" for number in (1, 2, 3))


@pytest.fixture
def keeper(tmp_path: Path) -> CopyingSnapshotter:
    """One with a snapshot that has a few files."""
    made = CopyingSnapshotter(tmp_path / "snapshots")
    active = made.prepare(None)
    (active.directory / "d/e").mkdir(parents=True)
    for path in ("a", "d/b", "d/e/c"):
        (active.directory / path).write_text(path)
        os.utime(active.directory / path, ns=(1, 1))
    made.commit(active, FIRST)
    return made


def sure() -> bool:
    return True


def unexpected() -> int:
    raise AssertionError("the tree before is not needed")


def shown(keeper: CopyingSnapshotter, active: Active, before: Callable[[], int] = unexpected) -> list[str]:
    return [f"{change.kind.value} {change.path}" for change in keeper.changes(active, before)]


def test_a_tree_that_nobody_reads_and_that_can_be_made_again_is_taken_over(keeper: CopyingSnapshotter) -> None:
    with Root(keeper.open(FIRST)) as tree:
        inode = os.stat("d/b", dir_fd=tree.fd).st_ino
    active = keeper.prepare(FIRST, spare=sure)
    assert (active.directory / "d/b").stat().st_ino == inode
    assert not keeper.exists(FIRST)
    keeper.root(active)
    (active.directory / "d/b").unlink()
    (active.directory / "new").touch()
    assert shown(keeper, active) == ["modify d", "delete d/b", "add new"]
    keeper.commit(active, SECOND)
    assert keeper.names() == (SECOND,)
    (directory,) = active.directory.parent.parent.glob("sha256-*")
    assert sorted(os.listdir(directory)) == ["boot", "fs", "parent"]
    assert (directory / "parent").read_text() == FIRST


def test_a_tree_that_cannot_be_made_again_is_copied(keeper: CopyingSnapshotter) -> None:
    keeper.discard(keeper.prepare(FIRST, spare=lambda: False))
    assert keeper.exists(FIRST)


@pytest.mark.parametrize("reader", ["open", "view", "copy"])
def test_a_tree_that_is_read_is_copied(keeper: CopyingSnapshotter, tmp_path: Path, reader: str) -> None:
    other = CopyingSnapshotter(tmp_path / "snapshots")
    match reader:
        case "open":
            tree = keeper.open(FIRST)
            end = partial(os.close, tree)
        case "view":
            keeper.view(FIRST)
            end = partial(keeper.begin_use, lambda _name: None)
        case _:
            end = partial(keeper.discard, keeper.prepare(FIRST))
    active = other.prepare(FIRST, spare=sure)
    assert other.exists(FIRST)
    other.discard(active)
    end()
    other.discard(other.prepare(FIRST, spare=sure))
    assert not other.exists(FIRST)


def test_what_was_taken_over_is_missing_for_others_however_it_ends(keeper: CopyingSnapshotter) -> None:
    keeper.discard(keeper.prepare(FIRST, spare=sure))
    for use in (keeper.prepare, keeper.open, keeper.view):
        with pytest.raises(NoSuchSnapshot):
            use(FIRST)


def test_who_opens_a_tree_in_the_moment_it_is_taken_over_is_told(
    keeper: CopyingSnapshotter, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = fcntl.flock

    def late(lock: int, operation: int) -> None:
        monkeypatch.undo()
        keeper.prepare(FIRST, spare=sure)
        kernel(lock, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    descriptors = os.listdir("/proc/self/fd")
    with pytest.raises(NoSuchSnapshot):
        keeper.open(FIRST)
    assert len(os.listdir("/proc/self/fd")) == len(descriptors) + 1  # the lock of the active snapshot


def test_nobody_begins_to_read_a_tree_after_the_look_for_readers_and_before_it_is_moved(
    keeper: CopyingSnapshotter, monkeypatch: pytest.MonkeyPatch
) -> None:
    move, refused = Path.rename, []

    def tried(path: Path, target: Path) -> Path:
        tree = os.open(path / "fs", os.O_RDONLY)
        try:
            fcntl.flock(tree, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            refused.append(path)
        finally:
            os.close(tree)
        return move(path, target)

    monkeypatch.setattr(Path, "rename", tried)
    active = keeper.prepare(FIRST, spare=sure)
    assert len(refused) == 1
    keeper.discard(active)


def test_the_last_of_a_chain_stands_for_those_below_it(keeper: CopyingSnapshotter) -> None:
    keeper.commit(keeper.prepare(FIRST, spare=sure), SECOND)
    assert [keeper.topmost(names) for names in ((), (FIRST,), (FIRST, SECOND), (FIRST, SECOND, THIRD))] == [0, 0, 2, 2]


def test_changes_of_a_tree_that_nothing_has_listed_are_refused(keeper: CopyingSnapshotter) -> None:
    active = keeper.prepare(FIRST, spare=sure)
    with pytest.raises(SnapshotError, match="which was taken over"):
        list(keeper.changes(active))
    keeper.discard(active)
