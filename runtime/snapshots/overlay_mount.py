"""Mounts overlays from descriptors, for the builder and for the sandbox child: by fsconfig, else by mount(2).

What fsconfig makes is attached nowhere. Older kernels cannot take lower directories one by one (``lowerdir+``), and
some filters know no fsopen; there the classic call needs a place, which the caller finds, because the builder lets go
of it at once and the sandbox keeps it. Errors are OSErrors.
"""

import os
from errno import EINVAL, ENOSYS

from pybuild.runtime.kernel.syscalls import (
    fsconfig_cmd_create,
    fsconfig_flag,
    fsconfig_string,
    fsmount,
    fsopen,
    mount,
)

MAX_LOWERS = 500
"""The kernel's limit."""
UNSUPPORTED = (EINVAL, ENOSYS)
"""What `mount_detached` fails with where `mount_classic` may still work."""
# redirect_dir and metacopy would let a layer name other paths of its lower layers, and changes would no longer lie
# where they show. xino keeps one st_dev and stable inode numbers when the layers are on several file systems.
_OPTIONS = (("redirect_dir", "nofollow"), ("metacopy", "off"), ("index", "off"), ("xino", "on"))


class OpenLayers:
    """The open directories of an overlay: *lowers* topmost first, *writable* is () or (upper, work).

    What is written to a *lasting* one reaches the disk as on any file system; to another one, as it happens.
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
        # Volatile (Linux 5.10): nothing is synced, neither inside nor for the whole file system when it is unmounted;
        # what survives a crash unflushed is dropped by its boot id, not trusted.
        volatile = ["volatile"] if self.writable and not self._lasting else []
        return [*volatile, *(["userxattr"] if self._userxattr else [])]


def mount_detached(layers: OpenLayers, attributes: int) -> int:
    """Return a mount of *layers* that is attached nowhere. The error has the kernel's own words."""
    fs = fsopen("overlay")
    try:
        fsconfig_string(fs, "source", "overlay")
        for fd in layers.lowers:
            fsconfig_string(fs, "lowerdir+", _magic(fd))
        for key, fd in layers.directories():
            fsconfig_string(fs, key, _magic(fd))
        for key, value in (*_OPTIONS, ("uuid", "null")):
            fsconfig_string(fs, key, value)
        for key in layers.flags():
            fsconfig_flag(fs, key)
        fsconfig_cmd_create(fs)
        return fsmount(fs, attributes)
    except OSError as error:
        raise OSError(error.errno, _explain(fs, error)) from error
    finally:
        os.close(fs)


def mount_classic(layers: OpenLayers, attributes: int, place: str, *, names: str = "/proc/self/fd/") -> None:
    """Mount *layers* on *place*. *names* is what descriptors are found by; "" for a caller that stands among them.

    The options must fit into a page: some 200 directories by their whole names, 1000 by their numbers alone.
    """
    options = ["lowerdir=" + ":".join(f"{names}{fd}" for fd in layers.lowers)]
    options += (f"{key}={names}{fd}" for key, fd in layers.directories())
    options += (f"{key}={value}" for key, value in _OPTIONS)
    # MS_RDONLY, MS_NOSUID, MS_NODEV and MS_NOEXEC have the same values as the attributes.
    mount("overlay", place, "overlay", attributes, ",".join((*options, *layers.flags())))


def _magic(fd: int) -> str:
    # A name without commas and colons, short, and one that shows nothing of the host in the sandbox's mountinfo.
    return f"/proc/self/fd/{fd}"


def _explain(fs: int, error: OSError) -> str:
    text = error.strerror or ""
    try:
        return f"{text} ({os.read(fs, 512).decode(errors='replace').strip()})"
    except OSError:  # the kernel logged nothing
        return text
