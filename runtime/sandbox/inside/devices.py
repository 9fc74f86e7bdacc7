"""/dev of a sandbox: device nodes, terminals, shared memory and message queues."""

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
                target = open_without_symlinks(tree, path)
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


def open_without_symlinks(tree: int, path: str) -> int:
    """Return an O_PATH descriptor of *path* in *tree*, in which no symlink is followed."""
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
