"""What every snapshotter promises, whatever lies on disk: one suite, run on each implementation."""

import os
import shlex
import sys
from collections import Counter

import pytest

from pybuild.runtime.errors import SnapshotError
from pybuild.runtime.paths.safepath import Root
from pybuild.runtime.rootfs.roots import OverlayRoot
from pybuild.runtime.snapshots.copying_snapshotter import CopyingSnapshotter
from pybuild.runtime.snapshots.snapshotter import Snapshotter
from pybuild.runtime.values import replace
from tests.contracts.snapshotters import changed, files, layered, name, run, shown, tree

pytestmark = pytest.mark.usefixtures("host_keeps_its_mounts")


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
