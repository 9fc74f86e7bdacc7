"""How snapshots end: removed, swept, dropped after a boot. One suite, run on each implementation."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pybuild.runtime.errors import SnapshotError
from pybuild.runtime.paths.safepath import Root
from pybuild.runtime.snapshots import disk as snapshots
from pybuild.runtime.snapshots.overlay_snapshotter import OverlaySnapshotter
from pybuild.runtime.snapshots.snapshotter import Active, Snapshotter
from tests.contracts.snapshotters import changed, files, layered, name, tree

pytestmark = pytest.mark.usefixtures("host_keeps_its_mounts")


def test_what_is_active_is_nobodys_parent_and_not_listed(keeper: Snapshotter) -> None:
    active = keeper.prepare(None)
    assert keeper.names() == ()
    with pytest.raises(SnapshotError):
        keeper.prepare(active.key)
    keeper.discard(active)


def test_a_missing_snapshot_is_an_error_wherever_it_is_needed(keeper: Snapshotter) -> None:
    assert not keeper.exists(name(1))
    for use in (keeper.prepare, keeper.open, keeper.view):
        with pytest.raises(SnapshotError, match="no such snapshot"):
            use(name(1))
    keeper.remove(name(1))


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "base",
        "../x",
        "a/b",
        "sha256:" + "0" * 63,
        "sha256:../../etc",
        "sha256:" + "0" * 64 + "\n",
        "tmp-" + "0" * 16,
        "a\0b",
    ],
)
def test_only_digests_are_names(keeper: Snapshotter, bad: str, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    for use in (keeper.exists, keeper.prepare, keeper.open, keeper.view, keeper.remove):
        if use == keeper.exists and isinstance(keeper, OverlaySnapshotter):
            assert not keeper.exists(bad)
            continue
        with pytest.raises(SnapshotError, match="not the name of a snapshot"):
            use(bad)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("key", ["", "..", "tmp-x", "../outside", "tmp-0000000000000000"])
def test_only_keys_that_were_given_out_are_active(keeper: Snapshotter, key: str, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    genuine = keeper.prepare(None)
    forged = Active(key=key, parent=None, directory=genuine.directory, format=genuine.format)
    for use in (
        keeper.root,
        lambda active: keeper.commit(active, name(1)),
        lambda active: list(keeper.changes(active)),
    ):
        with pytest.raises(SnapshotError, match="not active"):
            use(forged)
    keeper.discard(forged)
    assert (tmp_path / "outside").is_dir()
    keeper.discard(genuine)


def test_a_commit_under_a_name_that_exists_drops_the_second_copy(keeper: Snapshotter, tmp_path: Path) -> None:
    first, second = keeper.prepare(None), keeper.prepare(None)
    (first.directory / "a").write_text("first")
    (second.directory / "a").write_text("second")
    keeper.commit(first, name(1))
    keeper.commit(second, name(1))
    assert tree(keeper, name(1))["/a"].text == b"first"
    assert keeper.names() == (name(1),)
    assert list((tmp_path / "snapshots").glob("tmp-*")) == []
    with pytest.raises(SnapshotError, match="not active"):
        keeper.commit(second, name(2))


def test_many_threads_may_commit_the_same_name_at_once(make: Callable[[], Snapshotter], tmp_path: Path) -> None:
    failed: list[BaseException] = []

    def work(number: int) -> None:
        keeper = make()
        try:
            for turn in range(5):
                active = keeper.prepare(None)
                (active.directory / "f").write_text(str(number))
                keeper.commit(active, name(turn))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert make().names() == tuple(name(turn) for turn in range(5))
    assert list((tmp_path / "snapshots").glob("tmp-*")) == []


def test_a_discarded_snapshot_is_gone_and_may_be_discarded_again(keeper: Snapshotter, tmp_path: Path) -> None:
    base = layered(keeper, "mkdir -p a/b; echo 1 >a/f")
    active = keeper.prepare(base)
    changed(keeper, active, "rm -r a; mkdir -p a/c; echo 2 >g")
    keeper.discard(active)
    keeper.discard(active)
    assert not active.directory.exists()
    assert list((tmp_path / "snapshots").glob("tmp-*")) == []
    assert files(keeper, base) == ["/a", "/a/b", "/a/f"]


def test_removed_snapshots_are_gone_and_the_others_stay(keeper: Snapshotter) -> None:
    top = layered(keeper, "echo 1 >a", "echo 2 >b", "echo 3 >c")
    keeper.remove(top)
    keeper.remove(top)
    assert keeper.names() == (name(0), name(1))
    assert not keeper.exists(top)
    assert files(keeper, name(1)) == ["/a", "/b"]


def test_a_snapshot_that_others_stand_on_cannot_be_removed_before_them(keeper: Snapshotter) -> None:
    layered(keeper, "echo 1 >a", "echo 2 >b")
    with pytest.raises(SnapshotError, match="is the parent of"):
        keeper.remove(name(0))
    keeper.remove(name(1))
    active = keeper.prepare(name(0))
    with pytest.raises(SnapshotError, match="is the parent of"):
        keeper.remove(name(0))
    keeper.discard(active)
    keeper.remove(name(0))
    assert keeper.names() == ()


def test_those_that_nobody_stands_on_are_retired_children_first_after_one_look(
    keeper: Snapshotter, monkeypatch: pytest.MonkeyPatch
) -> None:
    layered(keeper, *(f"echo >f{number}" for number in range(5)))
    active = keeper.prepare(name(1))
    looks: list[object] = []
    listdir = os.listdir
    monkeypatch.setattr(os, "listdir", lambda place: (looks.append(place), listdir(place))[1])
    retired = list(keeper.retire(map(name, range(5))))
    monkeypatch.undo()
    assert [each for each, _ in retired] == [name(4), name(3), name(2)]
    assert len(looks) <= 2  # one of them is the sweep
    assert keeper.names() == (name(0), name(1))
    for _, bury in retired:
        bury()
    keeper.discard(active)
    retired = list(keeper.retire([name(0), name(1)]))
    assert [each for each, _ in retired] == [name(1), name(0)]
    for _, bury in retired:
        bury()


def test_what_a_killed_builder_left_keeps_no_snapshot_from_being_removed(
    keeper: Snapshotter, make: Callable[[], Snapshotter], tmp_path: Path
) -> None:
    base = layered(keeper, "echo 1 >a")
    left = tmp_path / "snapshots/tmp-0123456789abcdef"
    left.mkdir()
    (left / "parent").write_text(base)
    make().remove(base)
    assert keeper.names() == ()
    assert not left.exists()


def test_an_open_tree_survives_the_removal_of_nothing_it_needs(keeper: Snapshotter) -> None:
    layered(keeper, "echo 1 >a", "echo 2 >b", "echo 3 >c")
    with Root(keeper.open(name(1))) as root:
        keeper.remove(name(2))
        assert root.read_file("b", 10) == b"2\n"


def test_what_a_killed_builder_left_is_swept_and_what_a_living_one_has_is_kept(
    keeper: Snapshotter, tmp_path: Path
) -> None:
    base = layered(keeper, "mkdir a; echo 1 >a/f")
    mine = keeper.prepare(base)
    directory = tmp_path / "snapshots"
    kind = type(keeper)
    command = [sys.executable, "-c", CRASH, kind.__module__, kind.__name__, str(directory), base]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        key = process.stdout.readline().strip()
        keeper.sweep()
        assert (directory / key / "fs/half").exists()
        process.send_signal(signal.SIGKILL)
        process.wait()
    keeper.sweep()
    assert [path.name for path in directory.glob("tmp-*")] == [mine.key]
    assert files(keeper, base) == ["/a", "/a/f"]
    keeper.commit(mine, name(9))
    assert keeper.exists(name(9))


def test_the_first_write_of_a_builder_sweeps_what_others_left(make: Callable[[], Snapshotter], tmp_path: Path) -> None:
    make()
    (tmp_path / "snapshots/tmp-0123456789abcdef/fs/half").mkdir(parents=True)
    keeper = make()
    assert list((tmp_path / "snapshots").glob("tmp-*"))
    active = keeper.prepare(None)
    assert [path.name for path in (tmp_path / "snapshots").glob("tmp-*")] == [active.key]
    keeper.discard(active)


def test_snapshots_of_another_boot_are_dropped_when_they_are_met(
    keeper: Snapshotter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = layered(keeper, "echo 1 >a")
    monkeypatch.setattr(snapshots, "boot_id", lambda: "another boot")
    assert keeper.names() == ()
    active = keeper.prepare(None)
    (active.directory / "b").touch()
    keeper.commit(active, base)
    assert files(keeper, base) == ["/b"]
    monkeypatch.setattr(snapshots, "boot_id", lambda: "a third boot")
    keeper.sweep()
    assert sorted(path.name for path in (tmp_path / "snapshots").iterdir()) == ["empty", "lock"]


def test_a_snapshot_whose_mark_of_the_boot_is_lost_counts_as_missing(keeper: Snapshotter, tmp_path: Path) -> None:
    base = layered(keeper, "echo 1 >a")
    (tmp_path / "snapshots" / base.replace(":", "-") / "boot").unlink()
    assert not keeper.exists(base)


def test_no_other_user_of_the_host_can_look_into_the_snapshots(keeper: Snapshotter, tmp_path: Path) -> None:
    layered(keeper, "echo 1 >su; chmod 4755 su")
    tmp_path.chmod(0o755)
    directory = tmp_path / "snapshots"
    assert directory.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o077 == 0 for path in directory.iterdir() if path.name != "empty")
    directory.chmod(0o755)
    type(keeper)(directory)
    assert directory.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("part", ["fs", "parent", "boot"])
def test_a_committed_snapshot_that_lost_a_part_counts_as_missing_and_is_made_again(
    keeper: Snapshotter, make: Callable[[], Snapshotter], tmp_path: Path, part: str
) -> None:
    layered(keeper, "echo 1 >a")
    directory = tmp_path / "snapshots" / name(0).replace(":", "-")
    subprocess.run(["rm", "-r", directory / part], check=True)
    other = make()
    assert not other.exists(name(0))
    assert other.names() == ()
    layered(other, "echo 2 >b")
    assert files(other, name(0)) == ["/b"]


CRASH = """
import os, sys
from pathlib import Path
from pybuild.runtime.snapshots import copying_snapshotter, overlay_snapshotter
keeper = getattr(sys.modules[sys.argv[1]], sys.argv[2])(Path(sys.argv[3]))
active = keeper.prepare(sys.argv[4])
(active.directory / "half").write_text("done")
print(active.key, flush=True)
sys.stdin.read()
"""
