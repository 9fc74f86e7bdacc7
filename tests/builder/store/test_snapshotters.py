"""Which snapshotter a store gets: overlayfs where it works, copies elsewhere, and the one that was asked for."""

import errno
import os
from pathlib import Path

import pytest

from pybuild.builder.store import snapshotters
from pybuild.builder.store.snapshotters import abandoned, choose, places, present
from pybuild.runtime.errors import SnapshotError
from pybuild.runtime.snapshots.copying_snapshotter import CopyingSnapshotter
from pybuild.runtime.snapshots.overlay_snapshotter import OverlaySnapshotter

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="the names are others for ordinary users")


def refusing(monkeypatch: pytest.MonkeyPatch, error: OSError | None) -> None:
    monkeypatch.setattr(snapshotters, "_refusal", lambda _directory: error)
    monkeypatch.setattr(snapshotters, "is_chroot", lambda: False)


@ROOT_ONLY
def test_overlayfs_is_chosen_where_it_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing(monkeypatch, None)
    chosen, reason = choose(tmp_path, "")
    assert isinstance(chosen, OverlaySnapshotter)
    assert reason == ""


@ROOT_ONLY
def test_where_the_kernel_refuses_it_there_are_copies_and_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing(monkeypatch, OSError(errno.EINVAL, os.strerror(errno.EINVAL)))
    chosen, reason = choose(tmp_path, "")
    assert isinstance(chosen, CopyingSnapshotter)
    assert reason == "invalid argument"


@ROOT_ONLY
def test_who_asks_for_one_gets_it_without_a_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing(monkeypatch, OSError(errno.EINVAL, "tried"))
    assert isinstance(choose(tmp_path, "overlay")[0], OverlaySnapshotter)
    assert isinstance(choose(tmp_path, "copying")[0], CopyingSnapshotter)
    with pytest.raises(SnapshotError, match="unknown snapshotter 'zfs' in \\$PYBUILD_SNAPSHOTTER: overlay or copying"):
        choose(tmp_path, "zfs")


@ROOT_ONLY
def test_after_a_chroot_alone_nothing_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshotters, "is_chroot", lambda: True)
    monkeypatch.setattr(snapshotters, "_refusal", lambda _directory: pytest.fail("overlayfs was tried"))
    assert isinstance(choose(tmp_path, "")[0], CopyingSnapshotter)


@ROOT_ONLY
def test_only_snapshotters_with_a_directory_are_present_and_none_is_made(tmp_path: Path) -> None:
    assert (present(tmp_path), abandoned(tmp_path), list(tmp_path.iterdir())) == ((), (), [])
    overlays, trees = places(tmp_path)
    trees.mkdir()
    assert [type(each) for each in present(tmp_path)] == [CopyingSnapshotter]
    overlays.mkdir()
    assert [type(each) for each in present(tmp_path)] == [OverlaySnapshotter, CopyingSnapshotter]
