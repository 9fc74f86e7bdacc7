import os
from pathlib import Path

import pytest

from pybuild.runtime.errors import SandboxError
from pybuild.runtime.kernel.syscalls import AT_FDCWD, OPEN_TREE_CLONE, open_tree
from pybuild.runtime.mounted_tree import mounted
from pybuild.runtime.sandbox.inside.mounts import Bind
from tests.helpers.hosts import need_root
from tests.helpers.leftovers import mounts_below


@pytest.fixture
def place(tmp_path: Path) -> Path:
    need_root()
    for name in ("root/there", "a/inner", "b", "place"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "b/f").write_text("b")
    return tmp_path


def bind(place: Path, source: str, target: bytes) -> Bind:
    return Bind(os.fsencode(place / source), False, target)


def names(tree: int, path: str) -> list[str]:
    opened = os.open(path, os.O_RDONLY | os.O_DIRECTORY, dir_fd=tree)
    try:
        return sorted(os.listdir(opened))
    finally:
        os.close(opened)


def test_mounts_are_seen_below_the_descriptor_only(place: Path) -> None:
    tree = open_tree(AT_FDCWD, str(place / "root"), OPEN_TREE_CLONE)
    try:
        # The inner one is given first, and one needs a mount point that is missing.
        mounts = (bind(place, "b", b"/there/inner"), bind(place, "a", b"/there"), bind(place, "b/f", b"/new/file"))
        with mounted(tree, mounts, place / "place"):
            assert names(tree, "there/inner") == ["f"]
            assert names(tree, "new") == ["file"]
            assert [*(place / "root/there").iterdir()] == [*(place / "place").iterdir()] == []
            assert mounts_below(place) == []
    finally:
        os.close(tree)
    assert [path.name for path in (place / "root").rglob("*")] == ["there"]
    assert mounts_below(place) == []


def test_a_mount_that_fails_leaves_nothing(place: Path) -> None:
    tree = open_tree(AT_FDCWD, str(place / "root"), OPEN_TREE_CLONE)
    mounts = (bind(place, "a", b"/new/directory"), bind(place, "nope", b"/other"))
    try:
        with pytest.raises(SandboxError, match="nope"), mounted(tree, mounts, place / "place"):
            pass
    finally:
        os.close(tree)
    assert [path.name for path in (place / "root").rglob("*")] == ["there"]
