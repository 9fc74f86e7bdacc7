"""Mount points: made by descriptor, removed only when they are still what was made."""

import errno
import os
from pathlib import Path

import pytest

from pybuild.runtime.errors import SandboxError
from pybuild.runtime.kernel.syscalls import mount
from pybuild.runtime.sandbox.inside import stubs as module
from pybuild.runtime.sandbox.inside.stubs import Stubs
from tests.helpers.leftovers import descriptors_below
from tests.runtime.namespaces import in_mount_namespace


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def opened(path: Path) -> int:
    return os.open(path, os.O_PATH | os.O_DIRECTORY)


def listed(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def make(root: Path, *paths: str, directory: bool = True) -> Stubs:
    stubs, fd = Stubs(), opened(root)
    try:
        for path in paths:
            os.close(stubs.open(fd, path.encode(), directory=directory))
    finally:
        os.close(fd)
    return stubs


def test_missing_parents_are_made_and_removed_with_the_mount_point(root: Path) -> None:
    stubs = make(root, "/a/b/c", "/a/d")
    assert listed(root) == ["a", "a/b", "a/b/c", "a/d"]
    stubs.remove()
    assert listed(root) == []


def test_directories_have_their_times_back_unless_they_were_changed_in_between(root: Path) -> None:
    (root / "old").mkdir()
    (root / "new").mkdir()
    for name in ("old", "new"):
        os.utime(root / name, ns=(10**18, 10**18))
    stubs = make(root, "/old/x", "/new/x")
    os.utime(root / "new", ns=(2 * 10**18, 2 * 10**18))
    stubs.remove()
    assert [(root / name).stat().st_mtime_ns for name in ("old", "new")] == [10**18, 2 * 10**18]


def test_a_mount_point_that_is_there_is_left_alone(root: Path) -> None:
    (root / "a").mkdir()
    make(root, "/a").remove()
    assert listed(root) == ["a"]


def test_a_link_is_followed_inside_the_root_and_its_missing_target_made(root: Path, tmp_path: Path) -> None:
    (root / "etc").mkdir()
    (root / "etc/resolv.conf").symlink_to("../run/resolve/stub")
    (root / "abs").symlink_to(tmp_path / "outside")
    stubs = make(root, "/etc/resolv.conf", "/abs", directory=False)
    assert (root / "run/resolve/stub").is_file()
    assert not (tmp_path / "outside").exists()
    stubs.remove()
    assert listed(root) == ["abs", "etc", "etc/resolv.conf"]


def test_a_chain_of_links_without_end_is_an_error(root: Path) -> None:
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    with pytest.raises(OSError, match="Too many levels") as caught:
        make(root, "/a/x")
    assert caught.value.errno == errno.ELOOP


@pytest.mark.parametrize(("directory", "number"), [(True, errno.ENOTDIR), (False, errno.EISDIR)])
def test_a_mount_point_of_the_other_kind_is_an_error(root: Path, directory: bool, number: int) -> None:
    (root / "file").touch()
    (root / "folder").mkdir()
    with pytest.raises(OSError) as caught:
        make(root, "/file" if directory else "/folder", directory=directory)
    assert caught.value.errno == number


def test_a_stub_that_became_a_link_is_not_followed(root: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.mkdir()
    (canary / "b").touch()
    stubs = make(root, "/a/b")
    (root / "a/b").rmdir()
    (root / "a").rmdir()
    (root / "a").symlink_to(canary)
    stubs.remove()
    assert listed(canary) == ["b"]
    assert (root / "a").is_symlink()


def test_a_stub_that_was_replaced_or_filled_stays(root: Path) -> None:
    stubs = make(root, "/replaced", "/filled")
    os.rename(root / "replaced", root / "other")
    (root / "replaced").mkdir()
    (root / "filled/x").touch()
    stubs.remove()
    assert listed(root) == ["filled", "filled/x", "other", "replaced"]
    stubs = make(root, "/file", directory=False)
    (root / "file").write_text("x")
    stubs.remove()
    assert (root / "file").read_text() == "x"


def test_descriptors_are_closed_with_the_last_stub(root: Path) -> None:
    (root / "link").symlink_to("missing/inner")
    before = len(descriptors_below(root))
    stubs = make(root, "/a/b/c", "/link")
    assert len(descriptors_below(root)) > before
    stubs.remove()
    assert len(descriptors_below(root)) == before


@pytest.mark.parametrize("directory", [True, False])
def test_one_that_is_made_is_never_made_through_a_link(root: Path, directory: bool) -> None:
    (root / "proc").symlink_to("elsewhere")
    stubs, fd = Stubs(), opened(root)
    with pytest.raises(FileExistsError):
        stubs.make(fd, b"proc", directory=directory)
    os.close(fd)
    assert listed(root) == ["proc"]


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    (tmp_path / "layer").mkdir()
    return tmp_path / "layer"


def planted(layer: Path, upper: Path, *targets: tuple[bytes, bool]) -> Stubs:
    stubs, fd = Stubs(), opened(layer)
    stubs.plant(fd, targets, bytes(upper))
    stubs.note_visible(fd)  # an overlay without an image shows the planted layer
    os.close(fd)
    return stubs


def test_planting_makes_what_it_can_and_leaves_contradictions_to_others(layer: Path, root: Path) -> None:
    targets = ((b"/a/b", True), (b"/a/file", False), (b"/a/file/below", False), (b"/a/b", False), (b"/a", True))
    planted(layer, root, *targets).remove()
    assert listed(layer) == ["a", "a/b", "a/file"]


def copy_up(layer: Path, root: Path, path: str) -> None:
    (root / path).mkdir(0o755)
    times = (layer / path).stat()
    os.utime(root / path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_planted_directories_that_were_only_copied_up_are_removed_and_leave_no_time_behind(
    layer: Path, root: Path
) -> None:
    stubs = planted(layer, root, (b"/run/secrets/key", False), (b"/proc", True))
    for path in ("run", "run/secrets"):
        copy_up(layer, root, path)
    os.utime(root / "run", ns=(10**18, (layer / "run").stat().st_mtime_ns))
    os.utime(root, ns=(10**18, 10**18))
    stubs.remove()
    assert (listed(root), root.stat().st_mtime_ns) == ([], 10**18)


def test_planted_directories_that_the_process_used_stay_and_those_that_it_only_changed_do_not(
    layer: Path, root: Path
) -> None:
    stubs = planted(layer, root, (b"/touched", True), (b"/used", True), (b"/closed/in", True))
    for path in ("touched", "used", "closed"):
        copy_up(layer, root, path)
    os.utime(root / "touched", ns=(10**18, 10**18))
    (root / "used/file").touch()
    (root / "closed").chmod(0o700)
    stubs.remove()
    assert listed(root) == ["used", "used/file"]


def test_directories_that_the_image_has_too_stay_whatever_becomes_of_them(layer: Path, root: Path) -> None:
    image = root.parent / "image"
    (image / "etc").mkdir(parents=True)
    (image / "link").symlink_to("etc")
    stubs, fds = Stubs(), (opened(layer), opened(image))
    stubs.plant(fds[0], ((b"/etc/x", True), (b"/link/y", True)), bytes(root))
    stubs.note_visible(fds[1])
    (root / "etc").mkdir(0o700)
    (root / "link").mkdir()
    stubs.remove()
    assert listed(root) == ["etc", "link"]
    for fd in fds:
        os.close(fd)


def test_links_in_the_upper_are_not_followed_when_planted_directories_are_looked_for(layer: Path, root: Path) -> None:
    outside = root.parent / "outside"
    (outside / "b").mkdir(parents=True)
    stubs = planted(layer, root, (b"/a/b", True))
    os.utime(outside / "b", ns=(0, (layer / "a/b").stat().st_mtime_ns))
    (root / "a").symlink_to(outside)
    stubs.remove()
    assert listed(outside) == ["b"]


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EROFS])
def test_a_mount_point_that_the_disk_keeps_fails_the_run(
    root: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    stubs = make(root, "/etc/hosts", directory=False)

    def broken(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "unlink", broken)
    with pytest.raises(SandboxError, match="remove the mount point hosts"):
        stubs.remove()


def test_a_mount_point_that_the_image_has_taken_is_left_to_it(root: Path) -> None:
    stubs = make(root, "/a", "/b")
    (root / "a/file").touch()
    (root / "b").rmdir()
    stubs.remove()
    assert listed(root) == ["a", "a/file"]


def test_mount_points_and_the_directories_above_them_have_their_modes_whatever_the_umask(
    root: Path, tmp_path: Path
) -> None:
    (root / "shared").mkdir()
    os.chmod(root / "shared", 0o2775)  # what is made in it has the set-group-ID bit, too
    (tmp_path / "layer").mkdir()
    before = os.umask(0o077)
    try:
        made = make(root, "/above/mount", "/shared/mount")
        file = make(root, "/above/file", directory=False)
        layer = opened(tmp_path / "layer")
        Stubs().plant(layer, ((b"/above/mount", True), (b"/above/file", False)), b"")
        os.close(layer)
    finally:
        os.umask(before)
    paths = ("above", "above/mount", "shared/mount", "above/file")
    assert [oct((root / path).stat().st_mode & 0o7777) for path in paths] == ["0o755", "0o755", "0o2755", "0o644"]
    planted = [(tmp_path / "layer" / path).stat().st_mode & 0o7777 for path in ("above", "above/mount")]
    assert planted == [0o755, 0o755]
    for stubs in (file, made):
        stubs.remove()


def test_a_mount_point_in_another_mount_stays_as_another_step_may_use_it(root: Path) -> None:
    (root / "cache").mkdir()

    def work() -> object:
        mount("none", os.fspath(root / "cache"), "tmpfs", 0)
        make(root, "/cache/d/m", "/other").remove()
        return listed(root)

    assert in_mount_namespace(work) == "['cache', 'cache/d', 'cache/d/m']"


@pytest.mark.parametrize("directory", [True, False])
def test_a_mount_point_that_another_step_makes_in_this_moment_is_used(
    root: Path, monkeypatch: pytest.MonkeyPatch, directory: bool
) -> None:
    asked = []

    def made_meanwhile(*arguments: object) -> int:
        asked.append(arguments)
        if len(asked) == 1:
            (root / "m").mkdir() if directory else (root / "m").touch()
            raise FileNotFoundError(errno.ENOENT, "not yet")
        return open_inside(*arguments)

    open_inside = module.open_inside
    monkeypatch.setattr(module, "open_inside", made_meanwhile)
    make(root, "/m", directory=directory).remove()
    assert listed(root) == ["m"]
