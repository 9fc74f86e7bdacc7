"""Limits by control groups: what is written where, and that nothing is left; where this host has them, also for real."""

import errno
import os
from pathlib import Path

import pytest

from pybuild.runtime.sandbox import cgroups
from pybuild.runtime.sandbox.cgroup_settings import settings
from pybuild.runtime.sandbox.cgroups import Hierarchy, hierarchies, limited
from pybuild.runtime.sandbox.inside import preparation
from pybuild.runtime.sandbox.spec import ExitStatus, ResourceLimits
from tests.runtime.sandboxes import Image


def fake_proc(directory: Path, groups: str, mounts: str) -> Path:
    (directory / "cgroup").write_text(groups)
    (directory / "mountinfo").write_text(mounts)
    return directory


def test_the_place_of_this_process_in_each_hierarchy_is_found(tmp_path: Path) -> None:
    for name in ("mem/builds", "pids", "unified/user.slice"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "unified/user.slice/cgroup.subtree_control").write_text("cpu io\n")
    (tmp_path / "unified/user.slice/cgroup.procs").write_text("")
    proc = fake_proc(
        tmp_path,
        "4:memory:/builds\n3:pids:/\n2:freezer:/\n1:name=systemd:/\n0::/user.slice\n",
        f"1 0 0:1 / {tmp_path}/mem rw - cgroup cgroup rw,memory\n"
        f"2 0 0:2 / {tmp_path}/pids rw shared:1 - cgroup cgroup rw,pids\n"
        f"3 0 0:3 /elsewhere /other rw - cgroup2 cgroup2 rw\n"
        f"4 0 0:3 / {tmp_path}/unified rw - cgroup2 cgroup2 rw\n",
    )
    assert hierarchies(proc) == (
        Hierarchy(tmp_path / "mem/builds", frozenset({"memory"}), unified=False),
        Hierarchy(tmp_path / "pids", frozenset({"pids"}), unified=False),
        Hierarchy(tmp_path / "unified/user.slice", frozenset({"cpu"}), unified=True),
    )


def _unified(directory: Path, groups: dict[str, tuple[str, str, str]]) -> Path:
    """A hierarchy of cgroup v2, in which this process is in the last of *groups*: (processes, controllers, passed on)."""
    for name, texts in groups.items():
        (directory / "v2" / name).mkdir(parents=True, exist_ok=True)
        for file, text in zip(("cgroup.procs", "cgroup.controllers", "cgroup.subtree_control"), texts, strict=True):
            (directory / "v2" / name / file).write_text(text)
    mounts = f"4 0 0:3 / {directory}/v2 rw - cgroup2 cgroup2 rw\n"
    return fake_proc(directory, f"0::/{list(groups)[-1]}\n", mounts)


def test_in_the_unified_hierarchy_a_group_with_processes_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proc = _unified(
        tmp_path,
        {
            "": ("1\n", "cpu io memory pids", "memory pids"),
            "user.slice": ("", "memory pids", "memory pids"),
            "user.slice/session.scope": ("7\n", "memory pids", ""),
        },
    )
    slice_ = tmp_path / "v2/user.slice"
    (place,) = hierarchies(proc)
    assert place == Hierarchy(slice_, frozenset({"cpu", "memory", "pids"}), unified=True)
    monkeypatch.setattr(cgroups, "hierarchies", lambda **_: (place,))
    with limited(ResourceLimits(memory=64, cpu_quota=5, cpu_period=7)) as groups:
        (group,) = (file.parent for file in groups.files)
        assert group.parent == slice_
        assert (group / "memory.max").read_text() == "64"
        assert [(slice_ / up / "cgroup.subtree_control").read_text() for up in ("..", ".")] == ["+cpu", "+cpu"]
    assert groups.missing == ()


def test_a_namespace_whose_only_group_has_processes_gives_no_limits(tmp_path: Path) -> None:
    assert hierarchies(_unified(tmp_path, {"": ("1\n", "memory pids", "")})) == ()
    (place,) = hierarchies(_unified(tmp_path, {"": ("1\n", "memory", "memory"), "a": ("7\n", "memory", "")}))
    assert place.directory == tmp_path / "v2"
    (tmp_path / "v2/cgroup.procs").unlink()
    assert hierarchies(tmp_path) == ()


def test_a_group_is_removed_when_its_last_process_is_reaped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[Path] = []

    def busy_at_first(group: Path) -> None:
        tries.append(group)
        if len(tries) < 3:
            raise OSError(errno.EBUSY, "busy")
        real(group)

    real = Path.rmdir
    monkeypatch.setattr(Path, "rmdir", busy_at_first)
    (tmp_path / "group").mkdir()
    cgroups._remove(tmp_path / "group")
    assert not (tmp_path / "group").exists()
    (tmp_path / "full/inner").mkdir(parents=True)
    tries[:] = [tmp_path] * 2
    cgroups._remove(tmp_path / "full")
    assert len(tries) == 3


def test_a_host_without_cgroups_has_no_hierarchies(tmp_path: Path) -> None:
    assert hierarchies(tmp_path) == ()
    assert hierarchies(fake_proc(tmp_path, "4:memory:/\n0::/\n", "")) == ()


@pytest.mark.parametrize(
    ("unified", "files"),
    [
        (True, {"memory.max": "64", "pids.max": "11", "cpu.max": "5 7"}),
        (False, {"memory.limit_in_bytes": "64", "pids.max": "11", "cpu.cfs_period_us": "7", "cpu.cfs_quota_us": "5"}),
    ],
)
def test_limits_are_written_to_a_group_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unified: bool, files: dict[str, str]
) -> None:
    place = Hierarchy(tmp_path, frozenset({"memory", "pids", "cpu"}), unified=unified)
    monkeypatch.setattr(cgroups, "hierarchies", lambda **_: (place,))
    with limited(ResourceLimits(memory=64, pids=9, cpu_quota=5, cpu_period=7)) as groups:
        (procs,) = groups.files
        assert {path.name: path.read_text() for path in procs.parent.iterdir()} == files
        assert procs.name == "cgroup.procs"


@pytest.mark.parametrize(
    ("unified", "files"),
    [
        (True, {"memory.max": "64", "memory.swap.max": "36", "cpu.weight": "39", "cpuset.cpus": "0-1"}),
        (
            False,
            {"memory.limit_in_bytes": "64", "memory.memsw.limit_in_bytes": "100", "cpu.shares": "1024"}
            | {"cpuset.cpus": "0-1", "cpuset.mems": "0"},
        ),
    ],
)
def test_swap_weight_and_processors_are_limits_too_below_a_parent_of_choice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unified: bool, files: dict[str, str]
) -> None:
    (tmp_path / "cpuset.cpus").write_text("0-3")
    (tmp_path / "cpuset.mems").write_text("0")
    place = Hierarchy(tmp_path, frozenset({"memory", "cpu", "cpuset"}), unified=unified)
    monkeypatch.setattr(cgroups, "hierarchies", lambda *, parent: (place,) if parent == "/builds" else ())
    limits = ResourceLimits(memory=64, memory_swap=100, cpu_shares=1024, cpuset_cpus="0-1", cgroup_parent="/builds")
    with limited(limits) as groups:
        (procs,) = groups.files
        assert {path.name: path.read_text() for path in procs.parent.iterdir()} == files


def test_swap_without_a_limit() -> None:
    limits = ResourceLimits(memory=64, memory_swap=-1)
    assert ("memory", "memory.swap.max", "max") in list(settings(limits, unified=True))
    assert ("memory", "memory.memsw.limit_in_bytes", "-1") in list(settings(limits, unified=False))


def test_a_parent_is_made_where_it_is_missing_and_counts_what_runs_without_limits(tmp_path: Path) -> None:
    (tmp_path / "mem").mkdir()
    proc = fake_proc(tmp_path, "4:memory:/own\n", f"1 0 0:1 / {tmp_path}/mem rw - cgroup cgroup rw,memory\n")
    (place,) = hierarchies(proc, parent="/builds/a")
    assert place == Hierarchy(tmp_path / "mem/builds/a", frozenset({"memory"}), unified=False)
    assert place.directory.is_dir()


def test_no_group_is_made_without_limits_and_no_failure_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Hierarchy(tmp_path / "missing", frozenset({"memory"}), unified=True)
    monkeypatch.setattr(cgroups, "hierarchies", lambda **_: (place,))
    with limited(ResourceLimits(memory=64)) as groups:
        assert (groups.files, groups.missing) == ((), ("memory",))
    place.directory.mkdir()
    with limited(ResourceLimits(shm_size=1)) as groups:
        assert (groups.files, groups.missing, list(place.directory.iterdir())) == ((), (), [])


def test_limits_that_no_group_holds_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = (
        Hierarchy(tmp_path / "a", frozenset({"pids"}), unified=False),
        Hierarchy(tmp_path / "b", frozenset({"memory"}), unified=False),
    )
    monkeypatch.setattr(cgroups, "hierarchies", lambda **_: places)
    limits = ResourceLimits(
        memory=64, memory_swap=100, pids=9, cpu_quota=5, cpu_shares=7, cpuset_cpus="0", cpuset_mems="0"
    )
    for place in places:
        place.directory.mkdir()
    with limited(limits) as groups:
        assert groups.missing == ("cpu-shares", "cpu-quota", "cpuset-cpus", "cpuset-mems")

    def write(path: Path, text: str) -> int:
        if "memsw" in path.name:
            raise PermissionError
        return len(text)

    monkeypatch.setattr(Path, "write_text", write)
    with limited(ResourceLimits(memory=64, memory_swap=100)) as groups:
        assert groups.missing == ("memory-swap",)


@pytest.mark.parametrize(
    ("name", "text", "killed"),
    [
        ("memory.events", "low 0\nmax 9\noom 1\noom_kill 1\n", True),
        ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n", True),
        ("memory.events", "max 9\noom 0\noom_kill 0\n", False),
        ("memory.stat", "oom_kill 1\n", False),
    ],
)
def test_a_group_tells_of_kills_for_lack_of_memory(tmp_path: Path, name: str, text: str, killed: bool) -> None:
    (tmp_path / name).write_text(text)
    assert cgroups.Groups((tmp_path / "cgroup.procs",)).out_of_memory() is killed


def test_empty_groups_of_dead_builders_are_swept_and_those_of_living_ones_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("pybuild-999999999-dead", "pybuild-1-alive"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(cgroups, "hierarchies", lambda **_: (Hierarchy(tmp_path, frozenset(), unified=True),))
    with limited(ResourceLimits(cgroup_parent="/")):
        assert "pybuild-999999999-dead" not in [path.name for path in tmp_path.iterdir()]
    assert [path.name for path in tmp_path.iterdir()] == ["pybuild-1-alive"]


def need_controller(name: str) -> None:
    if not any(name in each.controllers for each in hierarchies()):
        pytest.skip(f"needs a writable cgroup with the controller {name}")


def test_who_runs_without_a_limit_is_told_once(image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "hierarchies", lambda **_: ())
    limits = ResourceLimits(memory=64 << 20, pids=12)
    told = [image.run("busybox", "true", limits=limits).err for _ in range(2)]
    lacking = "WARNING: the limits memory, pids are not kept: no control group here holds more, see pybuild doctor\n"
    assert told == [lacking, ""]


def test_a_process_beyond_its_memory_is_killed(image: Image) -> None:
    need_controller("memory")
    result = image.run(
        "busybox", "dd", "if=/dev/zero", "of=/dev/null", "bs=300M", "count=1", limits=ResourceLimits(memory=64 << 20)
    )
    assert result.status == ExitStatus(signal=9)
    assert result.err == f"note: the kernel killed a process: memory is limited to {64 << 20} bytes\n"


def test_a_fork_bomb_is_stopped(image: Image) -> None:
    need_controller("pids")
    result = image.shell(
        "i=0; while [ $i -lt 60 ]; do sleep 100 & i=$((i+1)); done; echo all", limits=ResourceLimits(pids=20)
    )
    assert "can't fork" in result.err
    assert result.out == ""


@pytest.mark.parametrize(("count", "all_run"), [(3, True), (2, False)])
def test_a_limit_of_processes_does_not_count_ours(image: Image, count: int, *, all_run: bool) -> None:
    need_controller("pids")
    result = image.shell("sleep 0.1 & sleep 0.1 & wait; echo all", limits=ResourceLimits(pids=count))
    assert ("can't fork" not in result.err, result.out == "all\n") == (all_run, all_run)
    assert image.run("busybox", "true", limits=ResourceLimits(pids=1)).status == ExitStatus(code=0)


def test_a_group_is_joined_by_its_file(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("memory", "pids")]
    preparation._join_cgroups(tuple(os.fsencode(file) for file in files))
    assert [file.read_text() for file in files] == ["0", "0"]
