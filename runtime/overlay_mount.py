"""Mounts an overlay from descriptors: by fsconfig where the kernel has ``lowerdir+`` (6.8), else by mount(2)."""

import os
from errno import EINVAL

from runtime.errors import SandboxError
from runtime.syscalls import (
    MOUNT_ATTR_NODEV,
    MS_NODEV,
    fsconfig_cmd_create,
    fsconfig_flag,
    fsconfig_string,
    fsmount,
    fsopen,
    mount,
)
from runtime.wire import Operation

MAX_LOWERS = 500
# redirect_dir and metacopy would let a layer name other paths of its lower layers, and changes would no longer lie
# where they show. xino keeps one st_dev and stable inode numbers although the stubs are on another file system.
_OPTIONS = (("redirect_dir", "nofollow"), ("metacopy", "off"), ("index", "off"), ("xino", "on"))


def mount_overlay(
    layers: tuple[bytes, ...], writable: tuple[bytes, ...], attributes: int, stubs: int, scratch: int
) -> int:
    """Return a mount of *layers* (topmost first) over the folder *stubs*; *writable* is () or (upper, work).

    *scratch* is a folder that is attached somewhere; the classic way mounts on its subfolder "overlay".
    """
    lowers = [_open_layer(layer) for layer in layers]
    if len(lowers) < MAX_LOWERS:
        # The kernel takes no more; in that case missing mount points are made in the upper and removed again.
        lowers.append(stubs)
    upper = [_open_layer(path) for path in writable]
    if writable:
        _forget_volatile(writable[1])
    try:
        return mount_by_fsconfig(lowers, upper, attributes)
    except SandboxError as error:
        if error.errno != EINVAL:
            raise
        try:
            return mount_classic(lowers, upper, attributes, scratch)
        except OSError:
            # The first error has the kernel's explanation.
            raise error from None
    finally:
        for fd in (*upper, *lowers[: len(layers)]):
            os.close(fd)


def _open_layer(path: bytes) -> int:
    with Operation("open layer", path):
        return os.open(path, os.O_PATH | os.O_DIRECTORY)


def _forget_volatile(work: bytes) -> None:
    """Let a second run use *work*: the mark warns of a crash, after which active snapshots are dropped anyway."""
    mark = work + b"/work/incompat/volatile"
    with Operation("clear the volatile mark", mark):
        try:
            os.unlink(mark + b"/dirty")
            os.rmdir(mark)
        except FileNotFoundError:
            return


def mount_by_fsconfig(lowers: list[int], upper: list[int], attributes: int) -> int:
    """Return a detached overlay mount."""
    operation = Operation("mount overlay")
    with operation:
        fs = fsopen("overlay")
    try:
        fsconfig_string(fs, "source", "overlay")
        for lower in lowers:
            fsconfig_string(fs, "lowerdir+", _magic(lower))
        for key, fd in zip(("upperdir", "workdir"), upper, strict=False):
            fsconfig_string(fs, key, _magic(fd))
        for key, value in (*_OPTIONS, ("uuid", "null")):
            fsconfig_string(fs, key, value)
        if upper:
            # Nothing is synced inside: what survives a crash unflushed is dropped by its boot id, not trusted.
            fsconfig_flag(fs, "volatile")
        fsconfig_cmd_create(fs)
        return fsmount(fs, attributes)
    except OSError as error:
        raise operation.failed(error.errno or 0, _explain(fs, error)) from error
    finally:
        os.close(fs)


def _magic(fd: int) -> str:
    # A name without commas and colons, short, and one that shows nothing of the host in the sandbox's mountinfo.
    return f"/proc/self/fd/{fd}"


def _explain(fs: int, error: OSError) -> str:
    text = error.strerror or ""
    try:
        return f"{text} ({os.read(fs, 512).decode(errors='replace').strip()})"
    except OSError:  # the kernel logged nothing
        return text


def mount_classic(lowers: list[int], upper: list[int], attributes: int, scratch: int) -> int:
    """Return an overlay mount, attached below *scratch*. Its options must fit in one page, hence the short names."""
    names = "lowerdir=" + ":".join(str(fd) for fd in lowers)
    if upper:
        names += f",upperdir={upper[0]},workdir={upper[1]}"
    options = ",".join((names, *(f"{key}={value}" for key, value in _OPTIONS)))
    place = os.open("overlay", os.O_PATH | os.O_DIRECTORY, dir_fd=scratch)
    os.chdir("/proc/self/fd")
    try:
        mount("overlay", _magic(place), "overlay", MS_NODEV if attributes & MOUNT_ATTR_NODEV else 0, options)
    finally:
        os.chdir("/")
        os.close(place)
    # Looked up again by name, to end on top of the new mount.
    return os.open("overlay", os.O_PATH | os.O_DIRECTORY, dir_fd=scratch)
