"""The file systems that every sandbox has: /dev, /sys and /proc, with the parts that are masked or read-only."""

import os
from errno import EINVAL, ENOENT, EPERM
from stat import S_IFCHR, S_ISCHR

from pybuild.runtime.errors import SandboxError
from pybuild.runtime.kernel.detached_mounts import INERT, clone, filesystem, is_directory
from pybuild.runtime.kernel.syscalls import (
    AT_FDCWD,
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_RDONLY,
    MOUNT_ATTR_STRICTATIME,
    RESOLVE_BENEATH,
    RESOLVE_NO_MAGICLINKS,
    RESOLVE_NO_SYMLINKS,
    mount_setattr,
    move_mount,
    open_peer,
    openat2,
)
from pybuild.runtime.records import Operation
from pybuild.runtime.sandbox.inside.plan import SandboxSettings
from pybuild.runtime.sandbox.inside.proc_files import mount_proc_files
from pybuild.runtime.sandbox.inside.scratch import ScratchSpace

# Major and minor numbers, from the kernel's list of them (admin-guide/devices.txt).
_NODES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
_INSECURE_NODES = ("fuse", "kmsg", "loop-control")
_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}
_CORE = "/proc/kcore"

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


class Nodes:
    """The device nodes of one sandbox, each an inode of its own."""

    __slots__ = ("_scratch", "directory", "empty")

    def __init__(self, scratch: ScratchSpace) -> None:
        self._scratch = scratch
        self.directory = scratch.directory("nodes")
        self.empty = scratch.directory("empty")

    def clone(self, name: str) -> int:
        """Return a detached mount of the device *name*.

        The node is a new one, because chmod(2) on a bind mount of the host's node would change the host's. Where
        mknod(2) is not permitted (in a user namespace or a container) the host's node is bound read-only, which forbids
        chmod and still permits to read and write the device.
        """
        major, minor = _NODES[name]
        try:
            os.mknod(name, S_IFCHR | 0o666, os.makedev(major, minor), dir_fd=self.directory)
            os.chmod(name, 0o666, dir_fd=self.directory)  # noqa: S103 - the mode in every /dev, whatever the umask
        except FileExistsError:
            pass
        except PermissionError:
            return host_node(name)
        return clone(self.directory, name.encode(), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC)

    def cover(self, tree: int, path: str) -> None:
        """Mount something empty over *path* of the mount *tree*, if this kernel has that path."""
        with Operation("cover", path.encode()):
            try:
                target = _open_without_symlinks(tree, path)
            except FileNotFoundError:
                return
            directory = is_directory(target)
            # Read-only, because all masks of files share one node, which a chmod would change. It can still be read.
            mask = clone(self.empty) if directory else self.clone("null")
            mount_setattr(mask, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC)
            move_mount(mask, target)


def host_node(name: str) -> int:
    """Return a read-only detached mount of the host's device *name*. Raises OSError if it is another device."""
    tree = clone(AT_FDCWD, b"/dev/" + name.encode(), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY)
    status = os.fstat(tree)
    if not S_ISCHR(status.st_mode) or (name in _NODES and status.st_rdev != os.makedev(*_NODES[name])):
        raise OSError(EPERM, "not the device of this name", name)
    return tree


def _open_without_symlinks(tree: int, path: str) -> int:
    flags = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS
    return openat2(tree, path, os.O_PATH, 0, flags)


def make_dev(target: int, nodes: Nodes, *, shm_size: int, insecure: bool) -> int:
    """Mount a fresh /dev on *target*: nodes, symlinks, pts, shm and mqueue. Return a descriptor of it."""
    nodev = 0 if insecure else MOUNT_ATTR_NODEV
    with Operation("mount tmpfs", b"/dev"):
        # The options of the mounts in /dev are those of Docker, with nodev in addition: nodes are mounts of their own.
        attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_STRICTATIME | nodev
        dev = filesystem("tmpfs", (("mode", "755"), ("size", "65536k")), attributes)
        move_mount(dev, target)
    for name in _NODES:
        with Operation("make device", b"/dev/" + name.encode()):
            _attach_node(nodes.clone(name), dev, name)
    for name in _INSECURE_NODES if insecure else ():
        _share_host_node(dev, name)
    with Operation("make links", b"/dev"):
        for name, path in _LINKS.items():
            os.symlink(path, name, dir_fd=dev)
        if os.path.exists(_CORE):  # the condition of runc: not every kernel has the file
            os.symlink(_CORE, "core", dir_fd=dev)
    # A terminal is a device node of devpts, which is therefore without nodev.
    _mount_in_dev(dev, "pts", "devpts", (("mode", "0620"), ("ptmxmode", "0666"), ("gid", "5")), nodev=0)
    if shm_size >= 0:
        _mount_in_dev(dev, "shm", "tmpfs", (("mode", "1777"), ("size", str(shm_size))))
    _mount_queues(dev)
    return dev


def open_terminal(dev: int) -> tuple[int, int]:
    """Return both ends of a new pseudo terminal of the /dev that `make_dev` made: the controlling end, the terminal.

    The terminal is opened through the controlling end, not by a name, which an image could have replaced.
    """
    with Operation("open terminal", b"/dev/ptmx"):
        master = os.open("pts/ptmx", os.O_RDWR | os.O_NOCTTY, dir_fd=dev)
        return master, open_peer(master)


def _attach_node(node: int, dev: int, name: str) -> None:
    os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, dir_fd=dev))
    move_mount(node, dev, name)
    os.close(node)


def _share_host_node(dev: int, name: str) -> None:
    with Operation("bind device", b"/dev/" + name.encode()):
        try:
            _attach_node(host_node(name), dev, name)
        except OSError as error:
            if error.errno != ENOENT:
                raise


def _mount_in_dev(
    dev: int, name: str, kind: str, options: tuple[tuple[str, str], ...], *, nodev: int = MOUNT_ATTR_NODEV
) -> None:
    with Operation(f"mount {kind}", b"/dev/" + name.encode()):
        os.mkdir(name, 0o755, dir_fd=dev)
        try:
            tree = filesystem(kind, options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | nodev)
        except OSError as error:  # EINVAL: in a user namespace with one id, group 5 (tty) does not exist
            if error.errno != EINVAL:
                raise
            possible = tuple(option for option in options if option[0] != "gid")
            tree = filesystem(kind, possible, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | nodev)
        move_mount(tree, dev, name)
        os.close(tree)


def _mount_queues(dev: int) -> None:
    """Mount the message queues of the IPC namespace.

    A user namespace may not mount those of the host's IPC namespace, so there the host's mount is bound, if it has one.
    """
    try:
        _mount_in_dev(dev, "mqueue", "mqueue", ())
    except SandboxError as error:
        if error.errno != EPERM:
            raise
        with Operation("bind message queues", b"/dev/mqueue"):
            try:
                tree = clone(AT_FDCWD, b"/dev/mqueue", INERT)
            except FileNotFoundError:
                return
            move_mount(tree, dev, "mqueue")
            os.close(tree)


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
    if not _is_readable(proc, _PROC_CLOSED):
        # Only root of the host can list it. Masked, it does not make a program fail that walks through all of /proc.
        nodes.cover(proc, _PROC_CLOSED)
    for name in _PROC_READ_ONLY:
        _make_read_only(proc, name)


def _is_readable(tree: int, directory: str) -> bool:
    try:
        os.close(os.open(directory, os.O_RDONLY | os.O_DIRECTORY, dir_fd=tree))
    except (PermissionError, FileNotFoundError) as error:
        return isinstance(error, FileNotFoundError)
    return True


def _make_read_only(tree: int, path: str) -> None:
    with Operation("make read-only", path.encode()):
        try:
            target = _open_without_symlinks(tree, path)
        except FileNotFoundError:
            return
        move_mount(clone(target, b"", INERT | MOUNT_ATTR_RDONLY, recursive=True), target)
        os.close(target)
