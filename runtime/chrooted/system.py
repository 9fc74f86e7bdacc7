"""What is in /proc, /sys and /dev after a chroot: a few regular files and device nodes, made for one run.

Nothing here leads to the host: there are no directories of it, and no links that only the kernel can follow.
"""

import os
from stat import S_IFCHR

_NODES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
_PROC = (
    *("cpuinfo", "filesystems", "loadavg", "meminfo", "stat", "uptime", "version"),
    *("sys/kernel/osrelease", "sys/kernel/ostype", "sys/kernel/pid_max", "sys/kernel/cap_last_cap"),
    *("sys/kernel/ngroups_max", "sys/kernel/random/boot_id", "sys/vm/overcommit_memory", "sys/fs/file-max"),
)
_SYS = ("devices/system/cpu/online", "devices/system/cpu/possible")
_MOUNTS = "rootfs / rootfs rw 0 0\n"
STREAMS = ("stdout", "stderr")


def make_proc(proc: int) -> None:
    """Fill the empty directory *proc* with what tells of the machine and nothing of a process."""
    for name in _PROC:
        _copy("/proc", name, proc)
    _write(proc, "self/mounts", _MOUNTS.encode())
    os.symlink("self/mounts", "mounts", dir_fd=proc)


def make_sys(sys: int) -> None:
    """Fill the empty directory *sys* with the numbers of the processors."""
    for name in _SYS:
        _copy("/sys", name, sys)


def make_dev(dev: int) -> None:
    """Fill the empty directory *dev* with nodes, /dev/shm and FIFOs for the streams of the process."""
    for name, numbers in _NODES.items():
        os.mknod(name, S_IFCHR | 0o666, os.makedev(*numbers), dir_fd=dev)
        os.chmod(name, 0o666, dir_fd=dev)  # noqa: S103 - as every /dev has it, whatever the umask
    os.mkdir("shm", dir_fd=dev)
    os.chmod("shm", 0o1777, dir_fd=dev)  # noqa: S103 - as above
    for name in STREAMS:
        os.mkfifo(name, 0o600, dir_fd=dev)


def open_streams(dev: int) -> list[tuple[int, int]]:
    """Return both ends of each FIFO in *dev*, the one that is read first."""
    return [_ends(dev, name) for name in STREAMS]


def _ends(dev: int, name: str) -> tuple[int, int]:
    reader = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=dev)
    try:
        writer = os.open(name, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=dev)
    except BaseException:
        os.close(reader)
        raise
    os.set_blocking(reader, True)
    return reader, writer


def _copy(host: str, name: str, directory: int) -> None:
    try:
        with open(f"{host}/{name}", "rb") as file:
            content = file.read()
    except OSError:  # this kernel has no such file, or the container shows none
        return
    _write(directory, name, content)


def _write(directory: int, name: str, content: bytes) -> None:
    *above, _ = name.split("/")
    for depth in range(1, len(above) + 1):
        path = "/".join(above[:depth])
        try:
            os.mkdir(path, dir_fd=directory)
        except FileExistsError:
            continue
        os.chmod(path, 0o755, dir_fd=directory)  # noqa: S103 - as above
    with open(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, dir_fd=directory), "wb") as file:
        file.write(content)
        os.fchmod(file.fileno(), 0o444)
