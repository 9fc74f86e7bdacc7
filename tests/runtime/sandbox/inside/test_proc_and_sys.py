"""/proc and /sys with what is masked in them, in a mount namespace of the test's own."""

import os
from pathlib import Path

import pytest

from pybuild.runtime.kernel.detached_mounts import clone
from pybuild.runtime.kernel.syscalls import AT_FDCWD
from pybuild.runtime.sandbox.inside import proc_and_sys
from pybuild.runtime.sandbox.inside.devices import Nodes
from pybuild.runtime.sandbox.inside.plan import DEFAULT_SETTINGS, Isolation, SandboxNamespaces, SandboxSettings
from pybuild.runtime.sandbox.inside.scratch import ScratchSpace
from tests.runtime.namespaces import in_mount_namespace
from tests.runtime.supervisor.supervised import supervision

COVERED = {
    "proc": "acpi asound interrupts kcore keys latency_stats sched_debug scsi timer_list timer_stats",
    "sys": (
        "firmware devices/virtual/powercap devices/system/cpu/cpu0/thermal_throttle"
        " devices/system/cpu/cpu12/thermal_throttle"
    ),
}
READ_ONLY = ("bus", "fs", "irq", "sys", "sysrq-trigger")


def machine(directory: Path) -> None:
    """Make what a kernel with everything shows below /proc and /sys, each a directory with a file that tells something."""
    for top, names in COVERED.items():
        for name in names.split():
            (directory / top / name).mkdir(parents=True)
            (directory / top / name / "told").touch()
    for name in READ_ONLY:
        (directory / "proc" / name).mkdir()
    (directory / "sys/fs/cgroup/release_agent").mkdir(parents=True)
    for name in ("proc", "sys"):
        (directory / f"at-{name}").mkdir()


def test_everything_that_docker_covers_is_covered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(tmp_path)

    def show(kind: str, _options: object = (), _attributes: int = 0) -> int:
        return clone(AT_FDCWD, os.fsencode(tmp_path / kind.removesuffix("fs")))

    def work() -> object:
        monkeypatch.setattr(proc_and_sys, "filesystem", show)
        monkeypatch.setattr(os.path, "exists", lambda _path: False)  # a host without the unified hierarchy
        nodes = Nodes(ScratchSpace())
        proc_and_sys.make_proc(os.open(tmp_path / "at-proc", os.O_PATH), nodes, DEFAULT_SETTINGS)
        proc_and_sys.make_sys(os.open(tmp_path / "at-sys", os.O_PATH), nodes, insecure=False)
        seen = ["sys/fs/cgroup", *(f"{top}/{name}" for top in COVERED for name in COVERED[top].split())]
        writable = [name for name in READ_ONLY if not os.statvfs(tmp_path / "at-proc" / name).f_flag & os.ST_RDONLY]
        return [name for name in seen if os.listdir(tmp_path / f"at-{name}")], writable

    assert in_mount_namespace(work) == "([], [])"


def test_where_a_new_proc_is_refused_a_supervised_process_gets_a_few_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = proc_and_sys.filesystem

    def refuse(kind: str, options: tuple[tuple[str, str], ...] = (), attributes: int = 0) -> int:
        if kind == "proc":
            raise PermissionError(1, "too revealing")
        return kernel(kind, options, attributes)

    def work() -> object:
        monkeypatch.setattr(proc_and_sys, "filesystem", refuse)
        nodes, found = Nodes(ScratchSpace()), []
        for how in (None, supervision()):
            (tmp_path / str(how is None)).mkdir()
            place = os.open(tmp_path / str(how is None), os.O_PATH)
            settings = SandboxSettings(
                (), False, Isolation(supervision=how), SandboxNamespaces(), False, 1 << 20, b"null"
            )
            _, own = proc_and_sys.make_proc(place, nodes, settings)
            names = os.listdir(tmp_path / str(how is None))
            found.append((own, "version" in names, any(map(str.isdigit, names))))
        return found, bool(os.statvfs(tmp_path / "False").f_flag & os.ST_RDONLY)

    assert in_mount_namespace(work) == "([(False, True, True), (False, True, False)], True)"


def mount_points() -> set[str]:
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return {line.split(" ")[4] for line in file}


def test_what_is_mounted_on_the_sys_of_the_host_is_found_from_outside_in() -> None:
    # Others mount and unmount meanwhile, also directories on themselves, which os.path.ismount does not see.
    before = mount_points()
    found = proc_and_sys._mounted_below("/")
    assert {"dev", "proc", "sys"} <= set(found)
    assert {f"/{path}" for path in found} <= before | mount_points()
    assert not [path for path in found if path.startswith(("dev/", "proc/", "sys/"))]
    assert proc_and_sys._mounted_below("/sys/nothing/") == ()


def test_what_is_closed_to_the_caller_is_told_from_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "closed").mkdir(mode=0)
    directory = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    child = os.fork()
    if child == 0:
        os.chmod(tmp_path, 0o755)
        os.fchdir(directory)
        os.setresuid(1000, 1000, 1000)
        found = [proc_and_sys._is_closed(directory, name) for name in ("open", "closed")]
        os._exit(0 if found == [False, True] else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert not proc_and_sys._is_closed(directory, "missing")
    os.close(directory)
