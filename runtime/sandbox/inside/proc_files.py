"""A few files of /proc as copies: for a step that can have no /proc of its own, and must not see the one outside."""

import os

from pybuild.runtime.kernel.detached_mounts import INERT, filesystem
from pybuild.runtime.kernel.syscalls import MOUNT_ATTR_RDONLY, mount_setattr

_NAMES = (
    *("cpuinfo", "filesystems", "loadavg", "meminfo", "stat", "uptime", "version"),
    *("sys/kernel/osrelease", "sys/kernel/ostype", "sys/kernel/pid_max", "sys/kernel/cap_last_cap"),
    *("sys/kernel/ngroups_max", "sys/kernel/random/boot_id", "sys/vm/overcommit_memory", "sys/fs/file-max"),
)
_MOUNTS = b"rootfs / rootfs rw 0 0\n"  # one line: the real ones would name paths of the host


def mount_proc_files() -> int:
    """Return a detached, read-only mount of a directory with the files of `fill_proc`."""
    tree = filesystem("tmpfs", (("mode", "555"),), INERT)
    fill_proc(tree)
    mount_setattr(tree, INERT | MOUNT_ATTR_RDONLY)
    return tree


def fill_proc(proc: int) -> None:
    """Fill the empty directory *proc* with files about the machine, as they are now, and with none about a process."""
    for name in _NAMES:
        copy_file("/proc", name, proc)
    write_file(proc, "self/mounts", _MOUNTS)
    os.symlink("self/mounts", "mounts", dir_fd=proc)


def copy_file(host: str, name: str, directory: int) -> None:
    """Copy *name* of the host's directory *host* to *directory*, with the directories above it, if it can be read."""
    try:
        with open(f"{host}/{name}", "rb") as file:
            content = file.read()
    except OSError:  # this kernel has no such file, or the container shows none
        return
    write_file(directory, name, content)


def write_file(directory: int, name: str, content: bytes) -> None:
    """Make a file that everybody may read, and the directories above it."""
    *above, _ = name.split("/")
    for depth in range(1, len(above) + 1):
        path = "/".join(above[:depth])
        try:
            os.mkdir(path, dir_fd=directory)
        except FileExistsError:  # made for another file in it
            continue
        os.chmod(path, 0o755, dir_fd=directory)  # noqa: S103 - whatever the umask
    with open(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, dir_fd=directory), "wb") as file:
        file.write(content)
        os.fchmod(file.fileno(), 0o444)
