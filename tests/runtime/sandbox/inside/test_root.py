"""Overlays as roots, made in a mount namespace of the test's own."""

import errno
import os
from pathlib import Path

import pytest

from pybuild.runtime.errors import SandboxError
from pybuild.runtime.sandbox.inside import root as roots
from pybuild.runtime.sandbox.inside.root import OverlayRoot
from pybuild.runtime.sandbox.inside.scratch import ScratchSpace
from tests.runtime.namespaces import in_mount_namespace


def test_the_kernels_own_words_come_with_the_error_of_an_overlay(tmp_path: Path) -> None:
    def work() -> object:
        scratch = ScratchSpace()
        with pytest.raises(SandboxError) as caught:
            OverlayRoot((bytes(tmp_path),) * 501, b"", False, b"").make(scratch, scratch.directory("stubs"), 0)
        return caught.value

    assert "too many lower directories, limit is 500" in in_mount_namespace(work)


def test_a_missing_layer_is_named() -> None:
    def work() -> object:
        with pytest.raises(SandboxError) as caught:
            OverlayRoot((b"/no/layer",), b"", False, b"").make(ScratchSpace(), 0, 0)
        return caught.value

    assert in_mount_namespace(work) == "open layer /no/layer: No such file or directory"


@pytest.mark.parametrize("classic", [False, True])
def test_both_ways_to_mount_an_overlay_give_the_same_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, classic: bool
) -> None:
    names = ["low:er,1", "low2", "upper", "work", *map(str, range(200))]
    for name in names:
        (tmp_path / name).mkdir()
    (tmp_path / names[0] / "f").write_text("bottom")
    (tmp_path / names[1] / "f").write_text("top")
    lowers = tuple(bytes(tmp_path / name) for name in (*names[:2], *names[4:]))

    def no_lowerdir_option(*_: object) -> int:
        raise OSError(errno.EINVAL, "")

    def work() -> object:
        if classic:
            monkeypatch.setattr(roots, "mount_detached", no_lowerdir_option)
        scratch = ScratchSpace()
        root = OverlayRoot(lowers, bytes(tmp_path / "upper"), False, bytes(tmp_path / "work"))
        tree = root.make(scratch, scratch.directory("stubs"), 4)
        place = scratch.attach(tree)
        os.close(os.open("new", os.O_CREAT, dir_fd=tree))
        line = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if " - overlay " in line][-1]
        return (
            sorted(os.listdir(f"/proc/self/fd/{tree}")),
            Path(f"/proc/self/fd/{tree}/f").read_text(),
            line.split()[4] == place.decode(),
            "nodev" in line,
        )

    assert in_mount_namespace(work) == "(['f', 'new'], 'top', True, True)"
    assert sorted(os.listdir(tmp_path / "upper")) == ["new"]


def test_a_failing_fallback_reports_the_first_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lower").mkdir()
    (tmp_path / "upper").mkdir()

    def first(*_: object) -> int:
        raise OSError(errno.EINVAL, "first")

    def work() -> object:
        monkeypatch.setattr(roots, "mount_detached", first)
        scratch, upper = ScratchSpace(), bytes(tmp_path / "upper")
        with pytest.raises(SandboxError) as caught:  # one directory cannot be upper and work
            OverlayRoot((bytes(tmp_path / "lower"),), upper, False, upper).make(scratch, scratch.directory("s"), 0)
        return caught.value

    assert in_mount_namespace(work) == "mount overlay: first"
