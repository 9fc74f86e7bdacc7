"""The content of /sys and /dev after a chroot: a few regular files, device nodes and FIFOs, made for one run.

Nothing in them leads out of the root, as directories of the host or links like /proc/self/fd would.
"""

import os
from stat import S_IFCHR

from pybuild.runtime.sandbox.inside.proc_files import copy_file

_NODES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
_SYS = ("devices/system/cpu/online", "devices/system/cpu/possible")
STREAMS = ("stdout", "stderr")


def make_sys(sys: int) -> None:
    """Fill the empty directory *sys* with the numbers of the processors."""
    for name in _SYS:
        copy_file("/sys", name, sys)


def make_dev(dev: int) -> None:
    """Fill the empty directory *dev* with nodes, /dev/shm and FIFOs for the streams of the process."""
    for name, numbers in _NODES.items():
        os.mknod(name, S_IFCHR | 0o666, os.makedev(*numbers), dir_fd=dev)
        os.chmod(name, 0o666, dir_fd=dev)  # noqa: S103 - as every /dev has it, whatever the umask
    os.mkdir("shm", dir_fd=dev)
    os.chmod("shm", 0o1777, dir_fd=dev)  # noqa: S103 - as above
    # In place of symlinks to /proc/self/fd, which is not there.
    for name in STREAMS:
        os.mkfifo(name, 0o600, dir_fd=dev)


def open_streams(dev: int) -> list[tuple[int, int]]:
    """Return for each FIFO in *dev* the end to read from and the end to write to."""
    return [_ends(dev, name) for name in STREAMS]


def _ends(dev: int, name: str) -> tuple[int, int]:
    # Without O_NONBLOCK, opening a FIFO for reading waits until another process opens it for writing.
    reader = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=dev)
    try:
        writer = os.open(name, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=dev)
    except BaseException:
        os.close(reader)
        raise
    os.set_blocking(reader, True)
    return reader, writer
