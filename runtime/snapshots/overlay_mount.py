"""Mounts overlays from descriptors, for the builder and for the sandbox child: by fsconfig(2), else by mount(2).

fsconfig makes a mount that is attached nowhere. Older kernels cannot add lower directories one by one (``lowerdir+``),
and the filters of some containers refuse fsopen. mount(2) needs a directory to mount on, which the caller chooses: the
builder detaches the mount at once, and the sandbox keeps it. Errors are OSErrors.
"""

from errno import EINVAL, ENOSYS

from pybuild.runtime.kernel.detached_mounts import filesystem
from pybuild.runtime.kernel.syscalls import mount

MAX_LOWERS = 500
"""The kernel's limit."""
UNSUPPORTED = (EINVAL, ENOSYS)
"""What `mount_detached` fails with where `mount_classic` may still work."""
# With redirect_dir or metacopy a layer could use the content of other paths below it, and the upper directory would not
# hold all that was changed. xino keeps one st_dev and stable inode numbers when layers are on several file systems.
_OPTIONS = (("redirect_dir", "nofollow"), ("metacopy", "off"), ("index", "off"), ("xino", "on"))


class OpenLayers:
    """The open directories of an overlay: *lowers* topmost first, *writable* is () or (upper, work).

    In a *lasting* one fsync(2) works as on any file system; in others it does nothing.
    """

    __slots__ = ("_lasting", "_userxattr", "lowers", "writable")

    def __init__(
        self,
        lowers: tuple[int, ...],
        writable: tuple[int, ...] = (),
        *,
        userxattr: bool = False,
        lasting: bool = False,
    ) -> None:
        self.lowers, self.writable, self._userxattr, self._lasting = lowers, writable, userxattr, lasting

    def directories(self) -> list[tuple[str, int]]:
        """Return the options that name the writable directories."""
        return list(zip(("upperdir", "workdir"), self.writable, strict=False))

    def flags(self) -> list[str]:
        """Return the options without a value."""
        # Volatile (Linux 5.10): nothing is synced, neither when a program asks for it nor, for the whole file system
        # below, at unmount. Snapshots of an earlier boot are removed, so incomplete ones are never used.
        volatile = ["volatile"] if self.writable and not self._lasting else []
        return [*volatile, *(["userxattr"] if self._userxattr else [])]


def mount_detached(layers: OpenLayers, attributes: int) -> int:
    """Return a mount of *layers* that is attached nowhere. An error has the text that the kernel logged."""
    options: list[tuple[str, str | None]] = [("lowerdir+", _magic(fd)) for fd in layers.lowers]
    options += ((key, _magic(fd)) for key, fd in layers.directories())
    # Without uuid=null the kernel stores a new UUID in an attribute of the upper directory. Kernels that take lower
    # directories one by one have the option; those of `mount_classic` may not.
    options += (*_OPTIONS, ("uuid", "null"))
    options += ((key, None) for key in layers.flags())
    return filesystem("overlay", options, attributes)


def mount_classic(layers: OpenLayers, attributes: int, place: str, *, names: str = "/proc/self/fd/") -> None:
    """Mount *layers* on *place*. Their paths are *names* and the descriptor, with "" for a caller in /proc/self/fd.

    The options must fit into a page: some 200 directories by their whole paths, 1000 by their numbers alone.
    """
    options = ["lowerdir=" + ":".join(f"{names}{fd}" for fd in layers.lowers)]
    options += (f"{key}={names}{fd}" for key, fd in layers.directories())
    options += (f"{key}={value}" for key, value in _OPTIONS)
    # MS_RDONLY, MS_NOSUID, MS_NODEV and MS_NOEXEC have the same values as the attributes.
    mount("overlay", place, "overlay", attributes, ",".join((*options, *layers.flags())))


def _magic(fd: int) -> str:
    # A path that is short, needs no escapes (commas, colons) and shows nothing of the host in the sandbox's mountinfo.
    return f"/proc/self/fd/{fd}"
