"""What is particular to the snapshotter on overlayfs: formats, mounts that nobody sees, and the probe."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from pybuild.runtime.errors import SnapshotError, TooManyLayers
from pybuild.runtime.kernel import detached_mounts
from pybuild.runtime.paths.safepath import Root
from pybuild.runtime.rootfs.roots import DirectoryRoot, OverlayRoot
from pybuild.runtime.snapshots import changes, overlay_probe, overlay_snapshotter
from pybuild.runtime.snapshots.overlay_probe import overlay_refusal
from pybuild.runtime.snapshots.overlay_snapshotter import OverlaySnapshotter
from pybuild.runtime.snapshots.snapshotter import Active, DiskFormat
from pybuild.runtime.snapshots.tree_copies import copy_tree
from tests.helpers.hosts import need_root


def name(number: int) -> str:
    return f"sha256:{number:064x}"


@pytest.fixture
def keeper(tmp_path: Path) -> OverlaySnapshotter:
    need_root()
    return OverlaySnapshotter(tmp_path / "snapshots")


def stacked(keeper: OverlaySnapshotter, count: int) -> str:
    for number in range(count):
        active = keeper.prepare(name(number - 1) if number else None)
        (active.directory / f"f{number}").touch()
        keeper.commit(active, name(number))
    return name(count - 1)


def listed(keeper: OverlaySnapshotter, committed: str) -> list[str]:
    with Root(keeper.open(committed)) as root:
        return [entry.name for entry in root.scan()]


def test_a_first_layer_is_a_plain_tree_and_the_others_are_differences(keeper: OverlaySnapshotter) -> None:
    first = keeper.prepare(None)
    assert (first.format, keeper.root(first)) == (DiskFormat.TREE, DirectoryRoot(path=first.directory))
    keeper.commit(first, name(0))
    second = keeper.prepare(name(0))
    root = keeper.root(second)
    assert second.format is DiskFormat.OVERLAY
    assert isinstance(root, OverlayRoot)
    assert (root.upper, root.lowers) == (
        second.directory,
        (second.directory.parents[1] / name(0).replace(":", "-") / "fs",),
    )
    keeper.discard(second)


def test_lower_directories_are_named_from_the_bottom_up(keeper: OverlaySnapshotter) -> None:
    view = keeper.view(stacked(keeper, 3))
    assert isinstance(view, OverlayRoot)
    assert [sorted(os.listdir(lower)) for lower in view.lowers] == [["f0"], ["f1"], ["f2"]]
    assert keeper.view(name(0)) == DirectoryRoot(path=view.lowers[0], read_only=True)


def test_a_committed_snapshot_keeps_no_work_directory(keeper: OverlaySnapshotter, tmp_path: Path) -> None:
    stacked(keeper, 2)
    for number in range(2):
        directory = tmp_path / "snapshots" / name(number).replace(":", "-")
        assert sorted(os.listdir(directory)) == ["boot", "fs", "parent"]


def test_whiteouts_and_opaque_directories_that_were_unpacked_hide_what_is_below(keeper: OverlaySnapshotter) -> None:
    active = keeper.prepare(None)
    (active.directory / "d").mkdir()
    for path in ("a", "b", "d/x"):
        (active.directory / path).touch()
    keeper.commit(active, name(0))
    active = keeper.prepare(name(0))
    os.mknod(active.directory / "a", 0o20000, 0)
    (active.directory / "d").mkdir()
    (active.directory / "d/y").touch()
    os.setxattr(active.directory / "d", "trusted.overlay.opaque", b"y")
    found = [(change.kind.value, change.path) for change in keeper.changes(active)]
    assert found == [("delete", "a"), ("modify", "d"), ("delete", "d/x"), ("add", "d/y")]
    keeper.commit(active, name(1))
    with Root(keeper.open(name(1))) as root:
        assert [entry.name for entry in root.scan()] == ["b", "d"]
        assert [entry.name for entry in root.scan("d")] == ["y"]


@pytest.mark.parametrize("attribute", ["redirect", "metacopy"])
def test_a_layer_cannot_borrow_from_other_paths(keeper: OverlaySnapshotter, attribute: str) -> None:
    active = keeper.prepare(None)
    (active.directory / "secret").mkdir(mode=0o700)
    (active.directory / "secret/f").write_text("s")
    keeper.commit(active, name(0))
    active = keeper.prepare(name(0))
    (active.directory / "bait").mkdir()
    (active.directory / "bait2").touch()
    os.setxattr(active.directory / "bait", f"trusted.overlay.{attribute}", b"/secret")
    os.setxattr(active.directory / "bait2", f"trusted.overlay.{attribute}", b"/secret/f")
    keeper.commit(active, name(1))
    found = set()
    with Root(keeper.open(name(1))) as root:
        for path in ("bait/f", "bait2"):
            try:
                found.add(root.read_file(path, 10))
            except OSError as error:  # the kernel refuses to follow
                found.add(error.errno)
    assert found <= {None, b"", errno.EPERM, errno.EIO}


def test_device_nodes_of_an_image_are_inert_for_the_builder(keeper: OverlaySnapshotter) -> None:
    active = keeper.prepare(stacked(keeper, 1))
    os.mknod(active.directory / "null", 0o20666, os.makedev(1, 3))
    keeper.commit(active, name(5))
    with Root(keeper.open(name(5))) as root, pytest.raises(PermissionError):
        root.open("null")


def test_a_broken_chain_does_not_exist(keeper: OverlaySnapshotter, tmp_path: Path) -> None:
    top = stacked(keeper, 3)
    shutil.rmtree(tmp_path / "snapshots" / name(1).replace(":", "-"))
    assert not keeper.exists(top)
    with pytest.raises(SnapshotError, match=name(1)):
        keeper.open(top)


@pytest.fixture
def outside(keeper: OverlaySnapshotter, tmp_path: Path) -> Path:
    """A whole snapshot beside the directory of snapshots: a name that is a path would lead to it."""
    shutil.copytree(tmp_path / "snapshots" / stacked(keeper, 1).replace(":", "-"), tmp_path / "outside")
    return tmp_path / "outside"


@pytest.mark.parametrize("path", ["../outside", "./../outside", "{}", "../snapshots/../outside", "", ".", "sha256:"])
def test_a_name_that_is_a_path_is_refused_although_a_snapshot_is_there(
    keeper: OverlaySnapshotter, outside: Path, path: str
) -> None:
    wrong = path.format(outside)
    assert not keeper.exists(wrong)
    for use in (keeper.view, keeper.open, keeper.prepare, keeper.remove):
        with pytest.raises(SnapshotError, match="not the name of a snapshot"):
            use(wrong)
    assert sorted(os.listdir(outside)) == ["boot", "fs", "parent"]


def test_a_parent_that_is_a_path_breaks_the_chain_although_a_snapshot_is_there(
    keeper: OverlaySnapshotter, outside: Path, tmp_path: Path
) -> None:
    top = stacked(keeper, 2)
    (tmp_path / "snapshots" / top.replace(":", "-") / "parent").write_text("../outside")
    other = OverlaySnapshotter(tmp_path / "snapshots")
    assert not other.exists(top)
    with pytest.raises(SnapshotError):
        other.open(top)
    assert outside.exists()


def test_a_key_that_is_a_path_is_refused_although_a_directory_is_there(
    keeper: OverlaySnapshotter, outside: Path
) -> None:
    for key in ("../outside", os.fspath(outside), "tmp-0123456789abcdef"):
        active = Active(key=key, parent=None, directory=outside / "fs", format=DiskFormat.TREE)
        for use in (
            lambda active: keeper.commit(active, name(9)),
            keeper.root,
            lambda active: [*keeper.changes(active)],
        ):
            with pytest.raises(SnapshotError, match="not active here"):
                use(active)
    assert sorted(os.listdir(outside)) == ["boot", "fs", "parent"]


def test_nobody_else_reaches_what_an_image_holds(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old").chmod(0o755)
    before = os.umask(0)
    try:
        for directory in ("old", "new"):
            OverlaySnapshotter(tmp_path / directory)
            assert (tmp_path / directory).stat().st_mode & 0o777 == 0o700
    finally:
        os.umask(before)


def test_a_chain_longer_than_the_kernel_takes_is_refused_with_words(
    keeper: OverlaySnapshotter, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = stacked(keeper, 4)
    monkeypatch.setattr(overlay_snapshotter, "MAX_LOWERS", 3)
    with pytest.raises(TooManyLayers, match="more than 3 layers"):
        keeper.prepare(top)
    assert keeper.exists(name(2))


def test_500_lower_directories_are_mounted_at_once(tmp_path: Path) -> None:
    need_root()
    lowers = [
        tmp_path / f"a-rather-long-name-for-a-lower-folder-{number}" for number in range(overlay_snapshotter.MAX_LOWERS)
    ]
    for number, lower in enumerate(lowers):
        lower.mkdir()
        (lower / "top").write_text(str(number))
    with Root(overlay_snapshotter.mount_tree(lowers, tmp_path)) as root:
        assert root.read_file("top", 10) == b"0"


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS])
def test_kernels_without_detached_overlays_mount_for_a_moment_only(
    keeper: OverlaySnapshotter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    top = stacked(keeper, 100)

    def denied(*_: object) -> int:
        raise OSError(number, "")

    monkeypatch.setattr(detached_mounts, "fsconfig_string" if number == errno.EINVAL else "fsopen", denied)
    with Root(keeper.open(top)) as root:
        assert len(root.scan()) == 100
        assert root.real("../f1") == "f1"
        assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()
        assert list((tmp_path / "snapshots").glob("tmp-*")) == []
    assert overlay_refusal(tmp_path) is None


def test_the_probe_uses_an_overlay_and_leaves_nothing(tmp_path: Path) -> None:
    need_root()
    assert overlay_refusal(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_the_probe_says_no_where_the_kernel_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> int:
        raise PermissionError(errno.EPERM, "")

    monkeypatch.setattr(detached_mounts, "fsopen", denied)
    assert isinstance(overlay_refusal(tmp_path), PermissionError)
    assert list(tmp_path.iterdir()) == []


def test_the_attributes_of_a_user_namespace_are_used_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need_root()
    assert changes.overlay_xattr_prefix() == "trusted.overlay."
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert changes.overlay_xattr_prefix.__wrapped__() == "user.overlay."
    monkeypatch.undo()
    for module in (overlay_snapshotter, overlay_probe):
        monkeypatch.setattr(module, "overlay_xattr_prefix", lambda: "user.overlay.")
    assert overlay_refusal(tmp_path) is None


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENOMEM])
def test_a_probe_that_fails_is_no_proof_against_overlayfs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def failed(*_: object) -> int:
        raise OSError(number, "")

    monkeypatch.setattr(detached_mounts, "fsopen", failed)
    with pytest.raises(OSError, check=lambda error: error.errno == number):
        overlay_refusal(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_whole_copy_that_lasts_is_used_as_it_is(keeper: OverlaySnapshotter, tmp_path: Path) -> None:
    base = keeper.prepare(None)
    (base.directory / "f").write_text("old")
    keeper.commit(base, name(1))
    place = tmp_path / "copy"
    (place / "fs").mkdir(parents=True)
    copy_tree(tmp_path / "snapshots" / name(1).replace(":", "-") / "fs", place / "fs")
    (place / "copied").touch()
    (place / "fs/new").write_text("x")
    assert keeper.lasting_root(place, name(1)) == DirectoryRoot(path=place / "fs")
    assert [change.path for change in keeper.lasting_changes(place, name(1))] == ["new"]
    with Root(overlay_snapshotter.open_root(DirectoryRoot(path=place / "fs"), tmp_path)) as root:
        assert root.read_file("f", 10) == b"old"


def test_only_a_lasting_overlay_syncs(keeper: OverlaySnapshotter, tmp_path: Path) -> None:
    base = keeper.prepare(None)
    keeper.commit(base, name(1))
    keeper.make_lasting(tmp_path, name(1))
    with Root(overlay_snapshotter.open_root(keeper.lasting_root(tmp_path, name(1)), tmp_path)) as root:
        (Path(f"/proc/self/fd/{root.fd}") / "f").write_text("kept")
    assert not (tmp_path / "work/work/incompat").exists()
    assert (tmp_path / "fs/f").read_text() == "kept"


def test_nothing_is_mounted_to_see_that_nothing_changed(
    keeper: OverlaySnapshotter, monkeypatch: pytest.MonkeyPatch
) -> None:
    active = keeper.prepare(stacked(keeper, 2))
    with monkeypatch.context() as patch:
        patch.setattr(overlay_snapshotter, "mount_tree", None)
        assert list(keeper.changes(active)) == []
    (active.directory / "f0").touch()
    assert [change.path for change in keeper.changes(active)] == ["f0"]
