"""Overlays from descriptors; test_mounts.py and test_overlay.py have the two users of this."""

import os
from pathlib import Path

import pytest

from pybuild.runtime.kernel.syscalls import move_mount
from pybuild.runtime.snapshots.overlay_mount import OpenLayers, mount_classic, mount_detached
from tests.runtime.namespaces import in_mount_namespace, mounts


def opened(directory: Path, *names: str) -> tuple[int, ...]:
    for name in names:
        (directory / name).mkdir(exist_ok=True)
    return tuple(os.open(directory / name, os.O_PATH | os.O_DIRECTORY) for name in names)


def options(place: Path) -> set[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    before, _, after = next(line for line in lines if line.split()[4] == str(place)).partition(" - overlay overlay ")
    words = {*before.split()[5].split(","), *after.split(",")}
    return {word for word in words if not word.startswith(("lowerdir", "upperdir", "workdir", "uuid"))}


@pytest.mark.parametrize(("writable", "attributes"), [(True, 4), (False, 15)])
def test_both_ways_set_the_same_options_and_attributes(tmp_path: Path, writable: bool, attributes: int) -> None:
    def work() -> object:
        places = opened(tmp_path, "place1", "place2")
        for number, place in enumerate(places, 1):
            directories = opened(tmp_path, f"upper{number}", f"work{number}") if writable else ()
            layers = OpenLayers(opened(tmp_path, "a", "b"), directories)
            if number == 1:
                mount_classic(layers, attributes, str(tmp_path / "place1"))
            else:
                move_mount(mount_detached(layers, attributes), place)
        found = options(tmp_path / "place1")
        volatile = any("volatile" in word for word in found)  # newer kernels call it fsync=volatile
        return found == options(tmp_path / "place2"), sorted(found & {"nodev", "ro", "noexec"}), volatile

    expected = ["nodev"] if writable else ["nodev", "noexec", "ro"]
    assert in_mount_namespace(work) == f"(True, {expected}, {writable})"


def test_a_detached_overlay_is_in_no_table_of_mounts_and_gone_with_its_descriptor(tmp_path: Path) -> None:
    def work() -> object:
        before = mounts()
        tree = mount_detached(OpenLayers(opened(tmp_path, "a", "b")), 1)
        new = mounts() - before
        with pytest.raises(OSError, match="Read-only"):
            os.mkdir("new", dir_fd=tree)
        os.close(tree)
        return new

    assert in_mount_namespace(work) == "set()"


def test_the_error_has_the_kernels_own_words(tmp_path: Path) -> None:
    def work() -> object:
        with pytest.raises(OSError) as caught:
            mount_detached(OpenLayers(opened(tmp_path, "a") * 501), 0)
        return caught.value.strerror

    assert "too many lower directories, limit is 500" in in_mount_namespace(work)
