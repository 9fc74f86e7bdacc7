"""Mounts that are attached nowhere: a new one is only a descriptor, without a path, until move_mount(2) attaches it."""

import os
from _collections_abc import Iterable
from stat import S_ISDIR

from pybuild.runtime.kernel.syscalls import (
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
    open_tree,
)

INERT = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC
"""The attributes of a mount that only serves data: no set-user-id, devices or programs."""


def filesystem(kind: str, options: Iterable[tuple[str, str | None]] = (), attributes: int = 0, source: str = "") -> int:
    """Return a detached mount of a *kind* file system. An option without a value has None.

    *source* is a device or an address. File systems that need none are new ones, and get their *kind* in its place. An
    error has the reason that the kernel logged.
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
        raise _with_reason(fs, error) from error
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


def _with_reason(fd: int, error: OSError) -> OSError:
    """Return *error* of the configuration *fd* with the reason that the kernel logged there, if any."""
    text = error.strerror or ""
    try:
        reason = os.read(fd, 512).decode(errors="replace").strip()
    except OSError:  # it logged nothing
        return OSError(error.errno, text)
    # A line begins with the letter of its level and a space, "e" for an error.
    return OSError(error.errno, f"{text} ({reason.removeprefix('e ')})")
