"""The mounts of a sandbox as values, each of which can make a detached mount of itself and name its kind.

Nothing is mounted by path. A mount is made detached (fsmount, open_tree), its target is opened inside the root, and the
mount is attached to that descriptor (move_mount), so that no symlink of an image decides where a mount ends up. The
records here are the child's form of the values of the same name in `runtime.sandbox.spec`.
"""

import os
from errno import ENOTTY
from stat import S_IMODE, S_ISBLK, S_ISCHR

from pybuild.runtime.kernel.detached_mounts import INERT, clone, filesystem
from pybuild.runtime.kernel.syscalls import (
    AT_FDCWD,
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_RDONLY,
    mount_setattr,
)
from pybuild.runtime.paths.in_root import open_inside
from pybuild.runtime.records import Operation, Record
from pybuild.runtime.sandbox.inside.file_systems import FileSystem
from pybuild.runtime.sandbox.inside.root import Root
from pybuild.runtime.sandbox.inside.scratch import ScratchSpace

_PROPAGATION = {b"slave": 1 << 19, b"shared": 1 << 20}
"""The flags MS_SLAVE and MS_SHARED of mount(2)."""


class Bind(Record):
    """A file or directory of the host, and if *recursive* the mounts below it. *propagation* is b"" for private."""

    # In the order of the constructor.
    __slots__ = ("host_path", "read_only", "target", "recursive", "propagation")  # noqa: RUF023

    def __init__(
        self, host_path: bytes, read_only: bool, target: bytes, recursive: bool = True, propagation: bytes = b""
    ) -> None:
        self.host_path, self.target, self.read_only, self.recursive = host_path, target, read_only, recursive
        self.propagation = propagation

    def make(self, _scratch: ScratchSpace | None) -> int:
        """Return the detached mount."""
        attributes = MOUNT_ATTR_NODEV | (MOUNT_ATTR_RDONLY if self.read_only else 0)
        with Operation("bind", self.host_path):
            tree = clone(AT_FDCWD, self.host_path, attributes, recursive=self.recursive)
            if self.propagation:
                flag, below = _PROPAGATION[self.propagation.removeprefix(b"r")], self.propagation.startswith(b"r")
                mount_setattr(tree, 0, propagation=flag, recursive=below)
            return tree

    def describe(self) -> str:
        """Return the kind of mount, for messages."""
        return "bind"


class BindRoot(Record):
    """A file or directory inside another root."""

    __slots__ = ("read_only", "root", "source", "target")

    def __init__(self, read_only: bool, root: Root, source: bytes, target: bytes) -> None:
        self.root, self.source, self.target, self.read_only = root, source, target, read_only

    def make(self, scratch: ScratchSpace) -> int:
        """Return the detached mount. *source* is resolved inside its root, and only once, so nobody can replace it."""
        root = self.root.make(scratch, scratch.directory("empty"), MOUNT_ATTR_NODEV)
        with Operation("bind from another root", self.source):
            # Only a part of an attached mount can be cloned on all kernels: see `ScratchSpace.attach`.
            scratch.attach(root)
            source = open_inside(root, self.source)
            os.close(root)
            try:
                return clone(source, attributes=MOUNT_ATTR_NODEV | (MOUNT_ATTR_RDONLY if self.read_only else 0))
            finally:
                os.close(source)

    def describe(self) -> str:
        """Return the kind of mount, for messages."""
        return "bind"


class Permissions(Record):
    """The owner and the mode of a directory. If it *adapts*, it gets the mode of a directory that it is mounted on."""

    __slots__ = ("adapts", "gid", "mode", "uid")

    def __init__(self, adapts: bool, gid: int, mode: int, uid: int) -> None:
        self.adapts, self.gid, self.mode, self.uid = adapts, gid, mode, uid


class Tmpfs(Record):
    """An empty tmpfs of *size* bytes at most; 0 for the default of the kernel."""

    __slots__ = ("executable", "permissions", "read_only", "size", "target")

    def __init__(self, executable: bool, permissions: Permissions, read_only: bool, size: int, target: bytes) -> None:
        self.permissions, self.executable, self.read_only = permissions, executable, read_only
        self.size, self.target = size, target

    def make(self, _scratch: ScratchSpace) -> int:
        """Return the detached mount, still writable."""
        numbers = (("size", self.size), ("uid", self.permissions.uid), ("gid", self.permissions.gid))
        options = tuple((name, str(value)) for name, value in numbers if value)
        attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (0 if self.executable else MOUNT_ATTR_NOEXEC)
        with Operation("mount tmpfs", self.target):
            return filesystem("tmpfs", (("mode", f"{self.permissions.mode:o}"), *options), attributes)

    def finish(self, tree: int, hidden: int | None) -> None:
        """Give *tree* the mode of the directory *hidden* below it, if it adapts. Then make it read-only, if it is."""
        if self.permissions.adapts and hidden is not None:
            os.chmod(".", S_IMODE(os.fstat(hidden).st_mode), dir_fd=tree)
        if self.read_only:
            mount_setattr(tree, MOUNT_ATTR_RDONLY)

    def describe(self) -> str:
        """Return the kind of mount, for messages."""
        return "tmpfs"


class FileMount(Record):
    """A small read-only file that never touches a disk."""

    __slots__ = ("content", "gid", "mode", "target", "uid")

    def __init__(self, content: bytes, gid: int, mode: int, target: bytes, uid: int) -> None:
        self.target, self.content, self.mode, self.uid, self.gid = target, content, mode, uid, gid

    def make(self, scratch: ScratchSpace) -> int:
        """Return the detached mount of this one file. Without noexec if it is executable, as heredoc scripts are."""
        attributes = INERT & ~MOUNT_ATTR_NOEXEC if self.mode & 0o111 else INERT
        with Operation("write file", self.target):
            name = scratch.write_file(self.content, self.mode, (self.uid, self.gid))
            return clone(scratch.fd, name, attributes | MOUNT_ATTR_RDONLY)

    def describe(self) -> str:
        """Return the kind of mount, for messages."""
        return "file"


class DeviceNode(Record):
    """A device node of the host. The mount is read-only: that forbids chmod, but not to write to the device itself."""

    __slots__ = ("host_path", "target")

    def __init__(self, host_path: bytes, target: bytes) -> None:
        self.host_path, self.target = host_path, target

    def make(self, _scratch: ScratchSpace) -> int:
        """Return the detached mount."""
        operation = Operation("bind device", self.host_path)
        with operation:
            tree = clone(AT_FDCWD, self.host_path, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY)
            mode = os.fstat(tree).st_mode
            if not S_ISCHR(mode) and not S_ISBLK(mode):
                raise operation.failed(ENOTTY, "not a device node")
            return tree

    def describe(self) -> str:
        """Return the kind of mount, for messages."""
        return "device"


Mount = Bind | BindRoot | Tmpfs | FileSystem | FileMount | DeviceNode
