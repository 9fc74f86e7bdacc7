"""Mounts as values, made in a mount namespace of the test's own."""

import errno
import os
from pathlib import Path

import pytest

from pybuild.runtime.errors import SandboxError
from pybuild.runtime.sandbox.inside import mounts
from pybuild.runtime.sandbox.inside.scratch import ScratchSpace
from tests.runtime.namespaces import in_mount_namespace


def content(tree: int) -> list[str]:
    return sorted(os.listdir(f"/proc/self/fd/{tree}"))


def test_the_scratch_tmpfs_hides_nothing_of_the_host() -> None:
    def work() -> object:
        scratch = ScratchSpace()
        scratch.directory("x")
        return content(scratch.fd), os.path.exists("/etc/passwd"), os.path.exists("/x")

    assert in_mount_namespace(work) == "(['x'], True, False)"


def test_a_file_is_mounted_alone_and_cannot_be_changed(tmp_path: Path) -> None:
    def work() -> object:
        tree = mounts.FileMount(b"secret", 7, 0o440, b"/run/s", 5).make(ScratchSpace())
        status = os.fstat(tree)
        path = f"/proc/self/fd/{tree}"
        for act in (lambda: os.chmod(path, 0o777), lambda: os.open(path, os.O_WRONLY)):
            with pytest.raises(OSError, match="Read-only"):
                act()
        return oct(status.st_mode & 0o777), status.st_uid, status.st_gid, Path(path).read_text()

    assert in_mount_namespace(work) == "('0o440', 5, 7, 'secret')"


def test_the_kernels_own_words_come_with_the_error_of_an_overlay(tmp_path: Path) -> None:
    def work() -> object:
        scratch = ScratchSpace()
        with pytest.raises(SandboxError) as caught:
            mounts.OverlayRoot((bytes(tmp_path),) * 501, b"", False, b"").make(scratch, scratch.directory("stubs"), 0)
        return caught.value

    assert "too many lower directories, limit is 500" in in_mount_namespace(work)


def test_a_missing_layer_is_named() -> None:
    def work() -> object:
        with pytest.raises(SandboxError) as caught:
            mounts.OverlayRoot((b"/no/layer",), b"", False, b"").make(ScratchSpace(), 0, 0)
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
            monkeypatch.setattr(mounts, "mount_detached", no_lowerdir_option)
        scratch = ScratchSpace()
        root = mounts.OverlayRoot(lowers, bytes(tmp_path / "upper"), False, bytes(tmp_path / "work"))
        tree = root.make(scratch, scratch.directory("stubs"), 4)
        place = scratch.attach(tree)
        os.close(os.open("new", os.O_CREAT, dir_fd=tree))
        line = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if " - overlay " in line][-1]
        return (
            content(tree),
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
        monkeypatch.setattr(mounts, "mount_detached", first)
        scratch, upper = ScratchSpace(), bytes(tmp_path / "upper")
        with pytest.raises(SandboxError) as caught:  # one directory cannot be upper and work
            mounts.OverlayRoot((bytes(tmp_path / "lower"),), upper, False, upper).make(
                scratch, scratch.directory("s"), 0
            )
        return caught.value

    assert in_mount_namespace(work) == "mount overlay: first"
