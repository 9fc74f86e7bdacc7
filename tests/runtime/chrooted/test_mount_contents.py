"""What an image has in the way of what stands in place of mounts."""

import os
from collections.abc import Callable
from pathlib import Path
from pathlib import PurePosixPath as At

import pytest

from pybuild.runtime.chrooted.mount_contents import fill
from pybuild.runtime.chrooted.replacements import Places
from pybuild.runtime.errors import SandboxError
from pybuild.runtime.rootfs.roots import DirectoryRoot
from pybuild.runtime.sandbox.spec import FileMount, Mount, Process, Spec, Tmpfs
from pybuild.runtime.snapshots.process_marks import new_mark
from tests.helpers.hosts import need_root


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The tree of an active snapshot."""
    need_root()
    (tmp_path / "active/fs/etc").mkdir(parents=True)
    return tmp_path / "active/fs"


def _failure(tree: Path, *mounts: Mount) -> str:
    """Fill *tree*, which must fail and leave what was there before; return why."""
    before = sorted(map(str, tree.rglob("*")))
    places = Places(tree.parent, new_mark())
    try:
        with pytest.raises(SandboxError) as caught:
            fill(places, Spec(root=DirectoryRoot(path=tree), process=Process(args=("true",)), mounts=mounts))
    finally:
        places.restore()
    assert sorted(map(str, tree.rglob("*"))) == before
    return str(caught.value)


@pytest.mark.parametrize("name", ["proc", "sys", "dev"])
@pytest.mark.parametrize(
    "plant",
    [
        lambda path: path.symlink_to("etc"),
        lambda path: path.symlink_to(path.parents[2]),
        lambda path: path.write_text(""),
        os.mkfifo,
    ],
    ids=["link", "link outside", "file", "pipe"],
)
def test_a_system_directory_that_is_something_else_is_refused(
    tree: Path, plant: Callable[[Path], object], name: str
) -> None:
    plant(tree / name)
    assert _failure(tree) == f"find mount point /{name}: the image has something else than a directory there"


@pytest.mark.parametrize("target", ["/proc", "/sys/x", "/x", "/x/self", "/y/self/fd"])
def test_nothing_is_put_into_system_directories(tree: Path, target: str) -> None:
    (tree / "x").symlink_to("/proc")
    (tree / "y").symlink_to("../../proc")
    assert _failure(tree, Tmpfs(target=At(target))).startswith(f"mount tmpfs on {target}: ")


@pytest.mark.parametrize("target", ["/dev/null", "/dev/zero", "/z/urandom"])
def test_nothing_is_put_over_what_is_in_dev(tree: Path, target: str) -> None:
    (tree / "z").symlink_to("dev")
    mount = FileMount(target=At(target), content=b"x")
    assert _failure(tree, mount) == f"mount file on {target}: the sandbox has something of its own there"
