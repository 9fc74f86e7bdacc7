"""Device nodes and covers, in a mount namespace of the test's own; test_sandbox.py looks at them from inside."""

import os
from pathlib import Path

import pytest

from pybuild.runtime.kernel.detached_mounts import clone
from pybuild.runtime.kernel.syscalls import AT_FDCWD
from pybuild.runtime.sandbox.inside import devices
from pybuild.runtime.sandbox.inside.devices import Nodes, host_node
from pybuild.runtime.sandbox.inside.plan import DEFAULT_SETTINGS, Isolation, SandboxNamespaces, SandboxSettings
from pybuild.runtime.sandbox.inside.scratch import ScratchSpace
from tests.runtime.namespaces import in_mount_namespace
from tests.runtime.supervisor.supervised import supervision


def test_a_node_is_an_inode_of_its_own_and_works() -> None:
    def work() -> object:
        tree = Nodes(ScratchSpace()).clone("zero")
        path = f"/proc/self/fd/{tree}"
        os.chmod(path, 0o600)
        with open(path, "rb") as device:
            data = device.read(4)
        return data, os.fstat(tree).st_dev != os.stat("/dev/zero").st_dev, oct(os.stat("/dev/zero").st_mode)

    assert in_mount_namespace(work) == f"({bytes(4)!r}, True, '0o20666')"


def test_where_nodes_cannot_be_made_those_of_the_host_are_bound_read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    def work() -> object:
        monkeypatch.setattr(os, "mknod", refuse)
        tree = Nodes(ScratchSpace()).clone("null")
        path = f"/proc/self/fd/{tree}"
        with pytest.raises(OSError, match="Read-only"):
            os.chmod(path, 0o600)
        with open(path, "wb") as device:
            return device.write(b"gone")

    assert in_mount_namespace(work) == "4"


def test_a_host_file_with_the_name_of_a_device_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def work() -> object:
        monkeypatch.setitem(devices._NODES, "null", (1, 5))
        with pytest.raises(OSError, match="not the device of this name") as caught:
            host_node("null")
        return caught.value.errno

    assert in_mount_namespace(work) == "1"


def test_a_cover_hides_files_and_directories_and_passes_over_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "folder/below").mkdir(parents=True)
    (tmp_path / "file").write_text("shown")

    def work() -> object:
        nodes = Nodes(ScratchSpace())
        tree = os.open(tmp_path, os.O_PATH)
        for name in ("folder", "file", "missing", "missing/more"):
            nodes.cover(tree, name)
        with pytest.raises(OSError, match="Read-only"):
            os.chmod(tmp_path / "file", 0o777)
        return os.listdir(tmp_path / "folder"), (tmp_path / "file").read_text()

    assert in_mount_namespace(work) == "([], '')"
    assert (tmp_path / "file").read_text() == "shown"


def test_a_cover_never_follows_a_link(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("shown")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/link").symlink_to("../victim")

    def work() -> object:
        with pytest.raises(Exception, match="cover link: Too many levels of symbolic links"):
            Nodes(ScratchSpace()).cover(os.open(tmp_path / "tree", os.O_PATH), "link")
        return (tmp_path / "victim").read_text()

    assert in_mount_namespace(work) == "shown"


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
        monkeypatch.setattr(devices, "filesystem", show)
        monkeypatch.setattr(os.path, "exists", lambda _path: False)  # a host without the unified hierarchy
        nodes = Nodes(ScratchSpace())
        devices.make_proc(os.open(tmp_path / "at-proc", os.O_PATH), nodes, DEFAULT_SETTINGS)
        devices.make_sys(os.open(tmp_path / "at-sys", os.O_PATH), nodes, insecure=False)
        seen = ["sys/fs/cgroup", *(f"{top}/{name}" for top in COVERED for name in COVERED[top].split())]
        writable = [name for name in READ_ONLY if not os.statvfs(tmp_path / "at-proc" / name).f_flag & os.ST_RDONLY]
        return [name for name in seen if os.listdir(tmp_path / f"at-{name}")], writable

    assert in_mount_namespace(work) == "([], [])"


def test_where_a_new_proc_is_refused_a_supervised_process_gets_a_few_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = devices.filesystem

    def refuse(kind: str, options: tuple[tuple[str, str], ...] = (), attributes: int = 0) -> int:
        if kind == "proc":
            raise PermissionError(1, "too revealing")
        return kernel(kind, options, attributes)

    def work() -> object:
        monkeypatch.setattr(devices, "filesystem", refuse)
        nodes, found = Nodes(ScratchSpace()), []
        for how in (None, supervision()):
            (tmp_path / str(how is None)).mkdir()
            place = os.open(tmp_path / str(how is None), os.O_PATH)
            settings = SandboxSettings(
                (), False, Isolation(supervision=how), SandboxNamespaces(), False, 1 << 20, b"null"
            )
            _, own = devices.make_proc(place, nodes, settings)
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
    found = devices._mounted_below("/")
    assert {"dev", "proc", "sys"} <= set(found)
    assert {f"/{path}" for path in found} <= before | mount_points()
    assert not [path for path in found if path.startswith(("dev/", "proc/", "sys/"))]
    assert devices._mounted_below("/sys/nothing/") == ()


def test_what_is_closed_to_the_caller_is_told_from_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "closed").mkdir(mode=0)
    directory = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    child = os.fork()
    if child == 0:
        os.chmod(tmp_path, 0o755)
        os.fchdir(directory)
        os.setresuid(1000, 1000, 1000)
        found = [devices._is_readable(directory, name) for name in ("open", "closed")]
        os._exit(0 if found == [True, False] else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert devices._is_readable(directory, "missing")
    os.close(directory)
