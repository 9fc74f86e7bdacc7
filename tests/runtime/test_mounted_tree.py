import os
import subprocess
from pathlib import Path

import pytest

from pybuild.runtime.errors import SandboxError
from pybuild.runtime.kernel.syscalls import AT_FDCWD, OPEN_TREE_CLONE, open_tree
from pybuild.runtime.mounted_tree import mounted, running_tree
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


def test_the_tree_of_what_runs_lacks_its_proc_and_nothing_is_unmounted_there(tmp_path: Path) -> None:
    need_root()
    (tmp_path / "own").mkdir()
    # Shared mounts: whoever unmounts one in a copy of the namespace unmounts it in all of them.
    script = f"mount -t tmpfs none {tmp_path}/own; touch {tmp_path}/own/f; echo ready; exec sleep 1000"
    words = ["unshare", "--mount", "--propagation", "shared", "sh", "-c", script]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            process, before = os.pidfd_open(child.pid), Path(f"/proc/{child.pid}/mountinfo").read_text()
            with running_tree(process) as tree:
                assert [names(tree, path) for path in ("proc", "sys", f".{tmp_path}/own")] == [[], [], ["f"]]
                # The directory of a root file system may have device nodes, too, as mmdebstrap makes them.
                assert os.stat("dev", dir_fd=tree).st_dev == os.fstat(tree).st_dev
            assert Path(f"/proc/{child.pid}/mountinfo").read_text() == before
            assert "self" in os.listdir("/proc")
        finally:
            child.kill()
    with pytest.raises(ProcessLookupError), running_tree(process):
        pass
    os.close(process)
