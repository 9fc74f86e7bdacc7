from pathlib import Path

import pytest

from pybuild.runtime.sandbox.lasting_groups import group_directories, make_groups
from pybuild.runtime.sandbox.spec import ResourceLimits


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    for name in ("memory", "freezer", "unified"):
        (tmp_path / name).mkdir()
    (tmp_path / "cgroup").write_text("3:memory:/own\n2:freezer:/own\n1:name=systemd:/own\n0::/own\n")
    lines = [
        f"1 1 0:1 / {tmp_path}/memory rw - cgroup cgroup rw,memory",
        f"1 1 0:1 / {tmp_path}/freezer rw - cgroup cgroup rw,freezer",
        f"1 1 0:1 / {tmp_path}/unified rw - cgroup2 cgroup2 rw",
    ]
    (tmp_path / "mountinfo").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_a_group_is_made_in_each_hierarchy_below_one_of_its_own(proc: Path) -> None:
    made, missing = make_groups("it", "/ours", ResourceLimits(memory=5), proc)
    assert missing == ()
    assert made == tuple(proc / name / "ours/it" for name in ("memory", "freezer", "unified"))
    assert (proc / "memory/ours/it/memory.limit_in_bytes").read_text() == "5"
    assert group_directories("it", "/ours", proc) == made
    assert group_directories("other", "/ours", proc) == ()


def test_controllers_of_the_unified_hierarchy_are_handed_down(proc: Path) -> None:
    (proc / "unified/ours").mkdir()
    make_groups("it", "/ours", ResourceLimits(), proc)
    assert (proc / "unified/cgroup.subtree_control").exists()
    assert (proc / "unified/ours/cgroup.subtree_control").exists()
