"""/sys and /proc of a sandbox, with the parts that are masked or read-only."""

import os

from pybuild.runtime.kernel.detached_mounts import INERT, clone, filesystem
from pybuild.runtime.kernel.syscalls import AT_FDCWD, MOUNT_ATTR_RDONLY, move_mount
from pybuild.runtime.records import Operation
from pybuild.runtime.sandbox.inside.devices import Nodes, open_without_symlinks
from pybuild.runtime.sandbox.inside.plan import SandboxSettings
from pybuild.runtime.sandbox.inside.proc_files import mount_proc_files

# What Docker masks, or makes read-only, in /proc and /sys. Counters of interrupts, throttling and power show what other
# processes do (GHSA-6fw5-f8r9-fgfm, GHSA-jq35-85cj-fj4p).
_PROC_COVERED = (
    *("acpi", "asound", "interrupts", "kcore", "keys", "latency_stats"),
    *("sched_debug", "scsi", "timer_list", "timer_stats"),
)
_PROC_CLOSED = "tty/driver"
_PROC_READ_ONLY = ("bus", "fs", "irq", "sys", "sysrq-trigger")
_SYS_COVERED = ("firmware", "devices/virtual/powercap")
_CPUS = "devices/system/cpu"


def make_sys(target: int, nodes: Nodes, *, insecure: bool) -> int:
    """Mount /sys on *target* and return it: read-only, with power and temperature masked, as Docker does."""
    with Operation("mount sysfs", b"/sys"):
        mounted_there: tuple[str, ...] = ()
        try:
            sysfs = filesystem("sysfs", (), INERT | (0 if insecure else MOUNT_ATTR_RDONLY))
        except PermissionError:
            sysfs, mounted_there = _host_sys(), _mounted_below("/sys/")
        move_mount(sysfs, target)
    for path in mounted_there:
        nodes.cover(sysfs, path)
    _mount_cgroup(sysfs, nodes)
    if insecure:
        return sysfs
    for path in (*_SYS_COVERED, *_throttle_counters(sysfs)):
        nodes.cover(sysfs, path)
    return sysfs


def _host_sys() -> int:
    # A sysfs belongs to a network namespace, and only the owner of that may mount it. A user namespace on the host's
    # network binds the host's /sys instead, with the mounts below, because the kernel forbids to leave those out.
    return clone(AT_FDCWD, b"/sys", INERT | MOUNT_ATTR_RDONLY, recursive=True)


def _mounted_below(directory: str) -> tuple[str, ...]:
    """Return the outermost mount points below *directory* of the host, as paths in it."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        places = sorted({line.split(" ")[4] for line in file})
    outer: list[str] = []
    for place in places:
        if place.startswith(directory) and not (outer and place.startswith(outer[-1] + "/")):
            outer.append(place)
    return tuple(place.removeprefix(directory) for place in outer)


def _throttle_counters(sysfs: int) -> list[str]:
    with Operation("list", b"/sys/" + _CPUS.encode()):
        directory = os.open(_CPUS, os.O_RDONLY | os.O_DIRECTORY, dir_fd=sysfs)
        try:
            cpus = [name for name in os.listdir(directory) if name[:3] == "cpu" and name[3:].isdigit()]
        finally:
            os.close(directory)
    return [f"{_CPUS}/{name}/thermal_throttle" for name in cpus]


def _mount_cgroup(sysfs: int, nodes: Nodes) -> None:
    # Only cgroup v2, whose namespace shows nothing above the sandbox's own group. On hosts with v1 the directory stays
    # empty, because v1 has a release_agent file, by which a process can run programs of the host (CVE-2022-0492).
    if os.listdir(f"/proc/self/fd/{sysfs}/fs/cgroup"):
        nodes.cover(sysfs, "fs/cgroup")
    if not os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        return
    with Operation("mount cgroup2", b"/sys/fs/cgroup"):
        tree = filesystem("cgroup2", (), INERT | MOUNT_ATTR_RDONLY)
        move_mount(tree, sysfs, "fs/cgroup")
        os.close(tree)


def make_proc(target: int, nodes: Nodes, settings: SandboxSettings) -> tuple[int, bool]:
    """Mount /proc on *target*; return the mount, and whether it is that of this process's PID namespace.

    The kernel refuses a new /proc when parts of the outer one are masked, as in a container. Where *settings* may do
    without, the outer one is bound then, with its masks and ours; it shows the processes of the outer PID namespace. A
    process with a supervisor gets copies of a few files instead: it could name processes there that the supervisor,
    which may look into them, would open for it.
    """
    own, files = True, False
    with Operation("mount proc", b"/proc"):
        try:
            proc = filesystem("proc", (), INERT)
        except PermissionError:
            if (settings.isolation.strict or settings.isolation.insecure) and b"pid" not in settings.namespaces.shared:
                raise
            own, files = False, settings.isolation.supervision is not None
            proc = mount_proc_files() if files else clone(AT_FDCWD, b"/proc", INERT, recursive=True)
        move_mount(proc, target)
    if not (settings.isolation.insecure or files):
        _cover_proc(proc, nodes)
    return proc, own


def _cover_proc(proc: int, nodes: Nodes) -> None:
    for name in _PROC_COVERED:
        nodes.cover(proc, name)
    if _is_closed(proc, _PROC_CLOSED):
        # Only root of the host can list it. Masked, it does not make a program fail that walks through all of /proc.
        nodes.cover(proc, _PROC_CLOSED)
    for name in _PROC_READ_ONLY:
        _make_read_only(proc, name)


def _is_closed(tree: int, directory: str) -> bool:
    """Return whether this process may not list *directory*; False where the kernel has none."""
    try:
        os.close(os.open(directory, os.O_RDONLY | os.O_DIRECTORY, dir_fd=tree))
    except (PermissionError, FileNotFoundError) as error:
        return isinstance(error, PermissionError)
    return False


def _make_read_only(tree: int, path: str) -> None:
    with Operation("make read-only", path.encode()):
        try:
            target = open_without_symlinks(tree, path)
        except FileNotFoundError:
            return
        move_mount(clone(target, b"", INERT | MOUNT_ATTR_RDONLY, recursive=True), target)
        os.close(target)
