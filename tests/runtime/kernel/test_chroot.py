import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pybuild.runtime.kernel.syscalls import mount
from pybuild.runtime.rootfs.roots import DirectoryRoot
from pybuild.runtime.sandbox.privileges import probe
from tests.runtime.namespaces import in_mount_namespace, mounts
from tests.runtime.sandboxes import Image

_MS_BIND, _MS_REC, _MS_SHARED = 0x1000, 0x4000, 1 << 20


def enter_plain_directory(place: Path) -> None:
    """Make a directory that is no mount, with all that the host's root has, the root of this process."""
    place.mkdir()
    for name in os.listdir("/"):
        source, target = Path("/", name), place / name
        if source.is_symlink():
            target.symlink_to(source.readlink())
        elif source.is_dir():
            target.mkdir()
            mount(os.fspath(source), os.fspath(target), None, _MS_BIND | _MS_REC)
    os.chroot(place)
    os.chdir("/")


def enter_bind_mount(place: Path) -> None:
    """Make another mount of the host's root the root of this process: the same directory, by its number."""
    place.mkdir()
    mount("/", os.fspath(place), None, _MS_BIND | _MS_REC)
    os.chroot(place)
    os.chdir("/")


@pytest.fixture(params=[enter_plain_directory, enter_bind_mount])
def enter(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], None]:
    return lambda: request.param(tmp_path / "chroot")


def test_a_chroot_has_what_a_sandbox_needs(enter: Callable[[], None]) -> None:
    def work() -> bool:
        enter()
        return probe().sandbox

    assert in_mount_namespace(work) == "True"


def test_a_sandbox_in_a_chroot_sees_its_own_root_and_nothing_above(enter: Callable[[], None], image: Image) -> None:
    def work() -> str:
        enter()
        return image.shell("echo new > /file; stat -c %i / /.. /../..; cat /proc/self/mountinfo").out

    lines = in_mount_namespace(work).splitlines()
    assert len(set(lines[:3])) == 1
    places = [line.split()[4] for line in lines[3:]]
    assert places.count("/") == 1
    assert all(path.startswith(("/proc", "/sys", "/dev", "/etc/")) for path in places if path != "/")
    assert (image.upper / "file").read_text() == "new\n"
    assert image.left() == ["file"]


def test_a_plain_root_is_left_without_the_mount_points_that_were_made(
    enter: Callable[[], None], image: Image, tmp_path: Path
) -> None:
    root = tmp_path / "plain"
    (root / "bin").mkdir(parents=True)
    (root / "bin/busybox").write_bytes((image.base / "bin/busybox").read_bytes())
    (root / "bin/busybox").chmod(0o755)

    def work() -> int | None:
        enter()
        return image.run("/bin/busybox", "true", root=DirectoryRoot(path=root)).status.code

    assert in_mount_namespace(work) == "0"
    assert os.listdir(root) == ["bin"]


def test_no_mount_appears_on_a_host_that_shares_its_mounts(image: Image) -> None:
    def work() -> object:
        mount("none", "/", None, _MS_REC | _MS_SHARED)
        before = mounts()
        assert image.shell("echo ran").out == "ran\n"
        return mounts() - before

    assert in_mount_namespace(work) == "set()"
