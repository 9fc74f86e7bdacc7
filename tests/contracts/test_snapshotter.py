"""What every snapshotter promises, whatever lies on disk: one suite, run on each implementation."""

import os
import shlex
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pybuild.runtime.errors import SnapshotError
from pybuild.runtime.paths.safepath import Root
from pybuild.runtime.rootfs.roots import DirectoryRoot, OverlayRoot
from pybuild.runtime.snapshots import disk as snapshots
from pybuild.runtime.snapshots.changes import overlay_xattr_prefix
from pybuild.runtime.snapshots.copying_snapshotter import CopyingSnapshotter
from pybuild.runtime.snapshots.overlay_snapshotter import OverlaySnapshotter
from pybuild.runtime.snapshots.snapshotter import Active, Snapshotter
from pybuild.runtime.values import replace
from tests.helpers.hosts import need_root
from tests.helpers.trees import Tree, read_directory

pytestmark = pytest.mark.usefixtures("host_keeps_its_mounts")


def name(number: int) -> str:
    return f"sha256:{number:064x}"


def mounts_below(directory: Path) -> list[str]:
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(directory) in line]


@pytest.fixture
def host_keeps_its_mounts(tmp_path: Path) -> Iterator[None]:
    need_root()
    descriptors = sorted(os.listdir("/proc/self/fd"))
    yield
    assert mounts_below(tmp_path) == []
    assert sorted(os.listdir("/proc/self/fd")) == descriptors


@pytest.fixture(params=[OverlaySnapshotter, CopyingSnapshotter])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Snapshotter]:
    return lambda: request.param(tmp_path / "snapshots")


@pytest.fixture
def keeper(make: Callable[[], Snapshotter]) -> Iterator[Snapshotter]:
    made = make()
    yield made
    made.begin_use(lambda _name: None)


def run(root: OverlayRoot | DirectoryRoot, script: str) -> str:
    """Run a shell script inside *root*, mounted in a mount namespace that ends with it."""
    match root:
        case DirectoryRoot():
            enter = f"cd {shlex.quote(str(root.path))}"
        case OverlayRoot():
            options = f"index=off,metacopy=off,redirect_dir=nofollow,lowerdir={':'.join(map(str, root.lowers[::-1]))}"
            if overlay_xattr_prefix() == "user.overlay.":
                options += ",userxattr"
            if root.upper:
                options += f",upperdir={root.upper},workdir={root.work}"
            enter = f"mount -t overlay overlay -o {shlex.quote(options)} /mnt; cd /mnt"
    command = ["unshare", "--mount", "sh", "-euc", f"{enter}\n{script}"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def changed(keeper: Snapshotter, active: Active, script: str) -> list[str]:
    """Run *script* in an active snapshot and return its changes."""
    run(keeper.root(active), script)  # type: ignore[arg-type]
    return shown(keeper, active)


def shown(keeper: Snapshotter, active: Active) -> list[str]:
    return [f"{change.kind.value} {change.path}" for change in keeper.changes(active)]


def layered(keeper: Snapshotter, *scripts: str) -> str:
    """Commit a snapshot per script on top of each other; return the name of the last."""
    parent = None
    for number, script in enumerate(scripts):
        active = keeper.prepare(parent)
        changed(keeper, active, script)
        parent = name(number)
        keeper.commit(active, parent)
    assert parent is not None
    return parent


def tree(keeper: Snapshotter, committed: str | None) -> Tree:
    fd = keeper.open(committed)
    try:
        found = read_directory(Path(f"/proc/self/fd/{fd}"))
    finally:
        os.close(fd)
    del found["/"]  # there it is the link in /proc
    return found


def files(keeper: Snapshotter, committed: str | None) -> list[str]:
    return sorted(tree(keeper, committed))


def test_an_empty_root_has_no_changes_and_no_files(keeper: Snapshotter) -> None:
    active = keeper.prepare(None)
    assert shown(keeper, active) == []
    keeper.commit(active, name(1))
    assert files(keeper, name(1)) == files(keeper, None) == []


def test_what_was_written_is_there_after_the_commit(keeper: Snapshotter) -> None:
    top = layered(keeper, "mkdir -p a/b; echo one >a/b/f", "echo two >a/g; ln -s b a/l")
    found = tree(keeper, top)
    assert sorted(found) == ["/a", "/a/b", "/a/b/f", "/a/g", "/a/l"]
    assert found["/a/b/f"].text == b"one\n"
    assert found["/a/l"].link == "b"


def test_one_may_begin_on_another_that_is_committed_later(keeper: Snapshotter) -> None:
    base = layered(keeper, "echo 1 >a; echo 2 >b")
    below = keeper.prepare(base)
    changed(keeper, below, "rm a; echo 3 >c; chmod 711 .")
    above = keeper.prepare_on(below)
    if isinstance(keeper, CopyingSnapshotter):
        assert above is None
        keeper.discard(below)
        return
    assert above is not None
    run(keeper.root(above), "test ! -e a; cat b c; rm c; echo 4 >d")  # type: ignore[arg-type]
    assert shown(keeper, below) == ["delete a", "add c"]
    keeper.commit(below, name(7))
    above = replace(above, parent=name(7))
    assert shown(keeper, above) == ["delete c", "add d"]
    keeper.commit(above, name(8))
    assert files(keeper, name(8)) == ["/b", "/d"]
    with pytest.raises(SnapshotError, match="is the parent of"):
        keeper.remove(name(7))


def test_changes_are_told_before_the_commit_and_ordered(keeper: Snapshotter) -> None:
    base = layered(keeper, "mkdir -p etc usr/bin; echo 1 >etc/a; echo 2 >etc/b; echo 3 >usr/bin/c")
    active = keeper.prepare(base)
    script = "rm etc/a; echo x >>etc/b; mkdir -p opt/x; echo y >opt/x/y"
    assert changed(keeper, active, script) == [
        "modify etc",
        "delete etc/a",
        "modify etc/b",
        "add opt",
        "add opt/x",
        "add opt/x/y",
    ]
    keeper.discard(active)


def test_running_without_writing_changes_nothing(keeper: Snapshotter) -> None:
    base = layered(keeper, "mkdir -p a/b; echo 1 >a/b/f; echo 2 >g")
    active = keeper.prepare(base)
    assert changed(keeper, active, "cat a/b/f g >/dev/null; touch -r g g; chmod 644 g; ls -lR . >/dev/null") == []
    keeper.discard(active)


def test_a_directory_of_a_lower_layer_is_removed(keeper: Snapshotter) -> None:
    base = layered(keeper, "mkdir -p keep gone/deep/deeper; echo 1 >gone/deep/f", "echo 2 >gone/g")
    active = keeper.prepare(base)
    assert changed(keeper, active, "rm -r gone") == ["delete gone"]
    keeper.commit(active, name(7))
    assert files(keeper, name(7)) == ["/keep"]


def test_a_directory_deleted_and_made_again_shows_nothing_of_the_old_one(keeper: Snapshotter) -> None:
    base = layered(
        keeper, "mkdir -p d/sub; echo 1 >d/old; echo 2 >d/sub/old; echo 3 >d/again; touch -d @1 d/again d/sub d"
    )
    active = keeper.prepare(base)
    script = "rm -r d; mkdir -p d/sub; echo 3 >d/again; touch -d @1 d/again; echo 4 >d/new"
    assert changed(keeper, active, script) == [
        "modify d",
        "add d/new",
        "delete d/old",
        "modify d/sub",
        "delete d/sub/old",
    ]
    keeper.commit(active, name(7))
    assert files(keeper, name(7)) == ["/d", "/d/again", "/d/new", "/d/sub"]
    active = keeper.prepare(name(7))
    assert changed(keeper, active, "rm -r d/sub; echo 5 >d/sub") == ["modify d", "modify d/sub"]
    keeper.discard(active)


def test_files_deleted_and_made_again_over_several_layers(keeper: Snapshotter) -> None:
    top = layered(keeper, "mkdir d; echo 1 >d/f", "rm d/f", "echo 2 >d/f", "rm -r d", "mkdir d; echo 3 >d/g")
    assert files(keeper, top) == ["/d", "/d/g"]
    assert files(keeper, name(2)) == ["/d", "/d/f"]
    assert files(keeper, name(3)) == []


def test_a_change_of_owner_mode_time_or_attribute_alone_is_a_change(keeper: Snapshotter) -> None:
    base = layered(keeper, "mkdir a; touch a/owner a/mode a/time; ln -s x a/link; touch b")
    active = keeper.prepare(base)
    script = "chown 12:34 a/owner; chown -h 5:6 a/link; chmod 4711 a/mode; touch -d @7 a/time; chmod 700 a"
    expected = ["modify a", "modify a/link", "modify a/mode", "modify a/owner", "modify a/time"]
    assert changed(keeper, active, script) == expected
    keeper.commit(active, name(7))
    found = tree(keeper, name(7))
    assert (found["/a/owner"].uid, found["/a/owner"].gid) == (12, 34)
    assert (found["/a/link"].uid, found["/a/link"].gid) == (5, 6)
    assert (found["/a/mode"].mode & 0o7777, found["/a/time"].mtime, found["/a"].mode & 0o7777) == (0o4711, 7, 0o700)


def test_a_file_rewritten_with_its_old_size_and_time_is_a_change(keeper: Snapshotter) -> None:
    base = layered(
        keeper, "echo old >f; touch -d @1000 f; mkdir d1 d2; echo a >d1/f; echo b >d2/f; touch -d @1 d?/f d?"
    )
    active = keeper.prepare(base)
    script = "echo new >f; touch -d @1000 f; mv d1 t; mv d2 d1; mv t d2"
    found = changed(keeper, active, script)
    assert [line for line in found if line != "modify d1" and line != "modify d2"] == [
        "modify d1/f",
        "modify d2/f",
        "modify f",
    ]
    keeper.commit(active, name(7))
    assert tree(keeper, name(7))["/d1/f"].text == b"b\n"


def test_hard_links_within_a_layer_stay_one_file(keeper: Snapshotter) -> None:
    base = layered(keeper, "echo 1 >a; ln a b; mkdir d; ln a d/c; echo 2 >z")
    found = tree(keeper, base)
    assert found["/a"].same == found["/b"].same == found["/d/c"].same == "/a"
    active = keeper.prepare(base)
    assert changed(keeper, active, "ln z y") == ["add y", "modify z"]
    keeper.commit(active, name(7))
    found = tree(keeper, name(7))
    assert found["/y"].same == found["/z"].same == "/y"


def test_a_file_that_a_step_can_write_has_no_link_outside_of_its_tree(keeper: Snapshotter) -> None:
    """By a hard link, a write in place would change another snapshot, and with it each image on that."""
    base = layered(keeper, "mkdir d; echo 1 >a; ln a d/b; echo 2 >c", "echo 3 >e; ln e f; touch -d @5 c")
    actives = [keeper.prepare(base), keeper.prepare(base)]
    for active in actives:
        changed(keeper, active, "chmod 600 c; ln c g; mkdir new; ln e new/h; echo 4 >>a; cp f i")
    for active in actives:
        written = [path.lstat() for path in active.directory.rglob("*") if path.is_file()]
        names = Counter(status.st_ino for status in written)
        assert len(names) > 3
        assert {status.st_ino: status.st_nlink for status in written} == names
        keeper.discard(active)
    assert tree(keeper, base)["/a"].text == b"1\n"


def test_a_link_is_replaced_by_a_directory_and_a_directory_by_a_link(keeper: Snapshotter) -> None:
    base = layered(keeper, "mkdir real dir; echo 1 >real/f; echo 2 >dir/g; ln -s real link")
    active = keeper.prepare(base)
    script = "rm link; mkdir link; echo 3 >link/h; rm -r dir; ln -s real dir"
    assert changed(keeper, active, script) == ["modify dir", "modify link", "add link/h"]
    keeper.commit(active, name(7))
    assert files(keeper, name(7)) == ["/dir", "/link", "/link/h", "/real", "/real/f"]
    assert tree(keeper, name(7))["/dir"].link == "real"


def test_a_renamed_directory_is_a_deletion_and_an_addition(keeper: Snapshotter) -> None:
    base = layered(keeper, "mkdir -p a/b; echo 1 >a/b/f")
    active = keeper.prepare(base)
    assert changed(keeper, active, "mv a c") == ["delete a", "add c", "add c/b", "add c/b/f"]
    keeper.commit(active, name(7))
    assert files(keeper, name(7)) == ["/c", "/c/b", "/c/b/f"]


def test_devices_and_fifos_are_kept_and_sockets_are_no_content(keeper: Snapshotter) -> None:
    bind = "import socket; socket.socket(socket.AF_UNIX).bind('sock')"
    script = (
        f"mknod c c 1 3; mknod b b 8 9; mkfifo p; chown 3:4 p; {shlex.quote(sys.executable)} -c {shlex.quote(bind)}"
    )
    base = layered(keeper, script)
    active = keeper.prepare(base)
    assert changed(keeper, active, "echo 1 >f; rm -f sock") == ["add f"]
    keeper.commit(active, name(7))
    found = tree(keeper, name(7))
    assert (found["/c"].device, found["/b"].device, found["/p"].uid) == ((1, 3), (8, 9), 3)


def test_the_root_directory_passes_its_mode_on(keeper: Snapshotter) -> None:
    top = layered(keeper, "chmod 711 .; chown 5:6 .; echo 1 >a", "echo 2 >b", "rm a")
    fd = keeper.open(top)
    found = os.fstat(fd)
    os.close(fd)
    assert (found.st_mode & 0o7777, found.st_uid, found.st_gid) == (0o711, 5, 6)


def test_the_root_of_an_image_is_open_to_everybody_unless_told_otherwise(keeper: Snapshotter) -> None:
    umask = os.umask(0o077)
    try:
        base = layered(keeper, "true", "echo 1 >a")
    finally:
        os.umask(umask)
    for committed in (None, name(0), base):
        fd = keeper.open(committed)
        assert os.fstat(fd).st_mode & 0o7777 == 0o755
        os.close(fd)


def test_128_layers_are_seen_as_one_tree(keeper: Snapshotter) -> None:
    parent = None
    for number in range(128):
        active = keeper.prepare(parent)
        # As a layer is unpacked: written to its directory, without a mount.
        if number % 16 == 0:
            (active.directory / f"f{number}").write_text(str(number))
        (active.directory / "shared").write_text(str(number))
        parent = name(number)
        keeper.commit(active, parent)
    found = tree(keeper, parent)
    assert len(found) == 9
    assert found["/shared"].text == b"127"
    view = keeper.view(name(127))
    assert len(view.lowers if isinstance(view, OverlayRoot) else [view]) in {128, 1}


def test_paths_inside_an_open_snapshot_never_leave_it(keeper: Snapshotter) -> None:
    top = layered(
        keeper, "mkdir -p etc a; echo mine >etc/passwd", "ln -s /etc/passwd a/abs; ln -s ../../../etc/passwd a/rel"
    )
    with Root(keeper.open(top)) as root:
        assert root.read_file("a/abs", 100) == root.read_file("a/rel", 100) == b"mine\n"
        assert root.real("a/rel") == "etc/passwd"


def test_an_open_snapshot_cannot_be_written(keeper: Snapshotter) -> None:
    top = layered(keeper, "echo 1 >a", "echo 2 >b")
    view = keeper.view(top)
    if isinstance(view, OverlayRoot):
        with Root(keeper.open(top)) as root, pytest.raises(OSError, match="Read-only"):
            os.mkdir("new", dir_fd=root.fd)
        assert view.upper is None
    else:
        assert view.read_only


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


@pytest.fixture
def parent(keeper: Snapshotter) -> str:
    return layered(keeper, "mkdir -m 711 d; echo 1 >d/a; echo 2 >d/b; chmod 751 .", "echo 3 >c")


def test_a_lasting_snapshot_outlives_sweeps_and_its_process(
    keeper: Snapshotter, make: Callable[[], Snapshotter], parent: str, tmp_path: Path
) -> None:
    place = tmp_path / "container"
    place.mkdir()
    keeper.make_lasting(place, parent)
    run(keeper.lasting_root(place, parent), "rm d/a; echo new >d/n; test $(stat -c %a .) = 751")  # type: ignore[arg-type]
    other = make()
    other.sweep()
    assert [f"{change.kind.value} {change.path}" for change in other.lasting_changes(place, parent)] == [
        "modify d",
        "delete d/a",
        "add d/n",
    ]
    assert run(other.lasting_root(place, parent), "cat d/* c") == "2\nnew\n3\n"  # type: ignore[arg-type]


def test_a_lasting_snapshot_stands_on_its_parent_made_again(
    keeper: Snapshotter, make: Callable[[], Snapshotter], parent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "container"
    place.mkdir()
    keeper.make_lasting(place, parent)
    run(keeper.lasting_root(place, parent), "echo new >d/n; rm c")  # type: ignore[arg-type]
    monkeypatch.setattr(snapshots, "boot_id", lambda: "another boot")
    later = make()
    later.sweep()
    assert not later.exists(parent)
    assert layered(later, "mkdir -m 711 d; echo 1 >d/a; echo 2 >d/b; chmod 751 .", "echo 3 >c") == parent
    assert run(later.lasting_root(place, parent), "cat d/*; ls") == "1\n2\nnew\nd\n"  # type: ignore[arg-type]


def test_a_lasting_snapshot_of_nothing_is_a_plain_tree(keeper: Snapshotter, tmp_path: Path) -> None:
    place = tmp_path / "container"
    place.mkdir()
    keeper.make_lasting(place, None)
    assert run(keeper.lasting_root(place, None), "echo 1 >a; cat a") == "1\n"  # type: ignore[arg-type]
    assert [change.path for change in keeper.lasting_changes(place, None)] == ["a"]


def test_a_lasting_snapshot_needs_its_parent(keeper: Snapshotter, tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="no such snapshot"):
        keeper.make_lasting(tmp_path, name(9))
