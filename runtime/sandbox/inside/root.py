"""The root of a sandbox as a value, which can make a detached mount of itself.

The records here are the child's form of the values of the same name in `runtime.rootfs.roots`.
"""

import os

from pybuild.runtime.kernel.detached_mounts import clone
from pybuild.runtime.kernel.syscalls import AT_FDCWD, MOUNT_ATTR_RDONLY
from pybuild.runtime.records import Operation, Record
from pybuild.runtime.sandbox.inside.scratch import ScratchSpace
from pybuild.runtime.snapshots.overlay_mount import MAX_LOWERS, UNSUPPORTED, OpenLayers, mount_classic, mount_detached


class OverlayRoot(Record):
    """An overlay of *lowers*, the bottom one first; read-only when *upper* is b"".

    *userxattr* is the mount option of overlays in user namespaces. With *write_through* fsync(2) inside reaches the
    disk, as containers need it; without, the overlay is mounted ``volatile``.
    """

    __slots__ = ("lowers", "upper", "userxattr", "work", "write_through")

    def __init__(
        self, lowers: tuple[bytes, ...], upper: bytes, userxattr: bool, work: bytes, write_through: bool = False
    ) -> None:
        self.lowers, self.upper, self.work, self.userxattr = lowers, upper, work, userxattr
        self.write_through = write_through

    def make(self, scratch: ScratchSpace, stubs: int, attributes: int) -> int:
        """Return the detached mount; the directory *stubs* becomes its lowest layer."""
        opened = [_open_layer(path) for path in (*reversed(self.lowers), *self._writable())]
        try:
            lowers, writable = opened[: len(self.lowers)], opened[len(self.lowers) :]
            if len(lowers) < MAX_LOWERS:
                # With as many layers as the kernel takes, missing mount points are made in the upper directory instead.
                lowers.append(stubs)
            if writable and not self.write_through:
                _forget_volatile(self.work)
            layers = OpenLayers((*lowers,), (*writable,), userxattr=self.userxattr, lasting=self.write_through)
            with Operation("mount overlay"):
                return _mount_overlay(layers, attributes, scratch)
        finally:
            for fd in opened:
                os.close(fd)

    def _writable(self) -> tuple[bytes, ...]:
        return (self.upper, self.work) if self.upper else ()


def _open_layer(path: bytes) -> int:
    with Operation("open layer", path):
        return os.open(path, os.O_PATH | os.O_DIRECTORY)


def _forget_volatile(work: bytes) -> None:
    """Remove the mark of an earlier ``volatile`` mount, with which the kernel refuses a second one on *work*.

    It warns that the upper directory may be incomplete after a crash (overlayfs.rst, "Volatile mount"). An active
    snapshot is dropped then anyway.
    """
    mark = os.path.join(work, b"work", b"incompat", b"volatile")
    with Operation("clear the volatile mark", mark):
        try:
            os.unlink(mark + b"/dirty")
            os.rmdir(mark)
        except FileNotFoundError:  # it is the first mount, or the last one was not volatile
            return


def _mount_overlay(layers: OpenLayers, attributes: int, scratch: ScratchSpace) -> int:
    try:
        return mount_detached(layers, attributes)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        try:
            return _mount_in_scratch(layers, attributes, scratch)
        except OSError:
            # The error of the new interface has the kernel's explanation, that of mount(2) a bare errno.
            raise error from None


def _mount_in_scratch(layers: OpenLayers, attributes: int, scratch: ScratchSpace) -> int:
    """Mount an overlay by mount(2), on kernels where fsconfig(2) does not take its options."""
    place = scratch.directory("overlay")
    # The names of layers are numbers there, of which more fit into the page that mount(2) takes for options.
    os.chdir("/proc/self/fd")
    try:
        mount_classic(layers, attributes, f"/proc/self/fd/{place}", names="")
    finally:
        os.chdir("/")
        os.close(place)
    # Opened again by name: the descriptor of before leads to the directory below the mount.
    return scratch.directory("overlay")


class DirectoryRoot(Record):
    """A plain directory of the host."""

    __slots__ = ("path", "read_only")

    def __init__(self, path: bytes, read_only: bool) -> None:
        self.path, self.read_only = path, read_only

    def make(self, _scratch: ScratchSpace, _stubs: int, attributes: int) -> int:
        """Return the detached mount. It has no lowest layer, so stubs will be made in the directory itself."""
        with Operation("bind root", self.path):
            return clone(AT_FDCWD, self.path, attributes | (MOUNT_ATTR_RDONLY if self.read_only else 0))


Root = OverlayRoot | DirectoryRoot
