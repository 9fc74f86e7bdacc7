"""Detached mounts, and a scratch tmpfs for what is made before the root exists.

Nothing here has a path on the host: a mount is only a descriptor until it is attached.
"""

import os
from stat import S_ISDIR

from pybuild.runtime.kernel.syscalls import (
    AT_FDCWD,
    AT_RECURSIVE,
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID,
    OPEN_TREE_CLONE,
    fsconfig_cmd_create,
    fsconfig_flag,
    fsconfig_string,
    fsmount,
    fsopen,
    mount_setattr,
    move_mount,
    open_tree,
)
from pybuild.runtime.paths.in_root import make_directory
from pybuild.runtime.records import Operation
from pybuild.runtime.snapshots.overlay_mount import fs_error

INERT = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC
"""The attributes of a mount that only serves data: no set-user-id, devices or programs."""


def filesystem(
    kind: str, options: tuple[tuple[str, str | None], ...] = (), attributes: int = 0, source: str = ""
) -> int:
    """Return a detached mount of a *kind* file system. An option without a value has None.

    *source* is a device or an address. File systems that need none are new ones, and get their *kind* in its place.
    """
    fs = fsopen(kind)
    try:
        fsconfig_string(fs, "source", source or kind)
        for key, value in options:
            if value is None:
                fsconfig_flag(fs, key)
            else:
                fsconfig_string(fs, key, value)
        fsconfig_cmd_create(fs)
        return fsmount(fs, attributes)
    except OSError as error:
        raise fs_error(fs, error) from error
    finally:
        os.close(fs)


def clone(dirfd: int, path: bytes = b"", attributes: int = 0, *, recursive: bool = False) -> int:
    """Return a detached bind mount of *path* below *dirfd* (of *dirfd* itself when empty)."""
    tree = open_tree(dirfd, path, OPEN_TREE_CLONE | (AT_RECURSIVE if recursive else 0))
    if attributes:
        mount_setattr(tree, attributes, recursive=recursive)
    return tree


def is_directory(tree: int) -> bool:
    """Return whether the root of the mount *tree* is a directory."""
    return S_ISDIR(os.fstat(tree).st_mode)


class ScratchSpace:
    """A tmpfs that only the sandbox child reaches: mount points, contents of files, device nodes, other roots.

    It is mounted on top of "/", so it needs no directory of the host. That hides nothing, because absolute paths of a
    process still start at the root below; the tmpfs is reached by its descriptor. *set_owner* changes the owner of an
    open file, by default with fchown(2).
    """

    __slots__ = ("_count", "fd", "set_owner")

    def __init__(self) -> None:
        with Operation("mount scratch tmpfs"):
            # Not nodev, which a bind mount of a device node in it would keep.
            self.fd = filesystem("tmpfs", (("mode", "0755"),), MOUNT_ATTR_NOSUID)
            move_mount(self.fd, AT_FDCWD, "/")
        self._count, self.set_owner = 0, os.fchown

    def _name(self) -> bytes:
        self._count += 1
        return b"%d" % self._count

    def attach(self, tree: int) -> bytes:
        """Attach *tree* in a new directory and return the absolute name of that directory.

        Parts of a detached tree cannot be cloned before Linux 6.15, nor can a detached tree become the root.
        """
        name = self._name()
        os.close(make_directory(self.fd, name))
        move_mount(tree, self.fd, name)
        return b"/" + name

    def directory(self, name: str) -> int:
        """Return a descriptor of the directory *name*, made when it is missing."""
        return make_directory(self.fd, name)

    def write_file(self, content: bytes, mode: int, owner: tuple[int, int]) -> bytes:
        """Write a new file and return its name."""
        name = self._name()
        with open(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, dir_fd=self.fd), "wb") as file:
            file.write(content)
            self.set_owner(file.fileno(), *owner)
            os.fchmod(file.fileno(), mode)
        return name
