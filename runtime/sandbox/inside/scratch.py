"""A scratch tmpfs for what is made before the root exists. Nothing in it has a path on the host."""

import os

from pybuild.runtime.kernel.detached_mounts import filesystem
from pybuild.runtime.kernel.syscalls import AT_FDCWD, MOUNT_ATTR_NOSUID, move_mount
from pybuild.runtime.paths.in_root import make_directory
from pybuild.runtime.records import Operation


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
