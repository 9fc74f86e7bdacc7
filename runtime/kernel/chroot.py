"""Sandboxes for a builder that runs in a chroot: its root becomes that of a new mount namespace.

A root that was set by chroot(2) is mostly a directory and no mount point. Its propagation cannot be made private, and
pivot_root(2) refuses it (EINVAL). The host's mounts would also be within reach of a process that breaks out of it.
"""

import os

from pybuild.runtime.kernel.syscalls import (
    AT_FDCWD,
    AT_RECURSIVE,
    CLONE_NEWNS,
    MNT_DETACH,
    MS_PRIVATE,
    MS_REC,
    OPEN_TREE_CLONE,
    mount,
    move_mount,
    open_tree,
    pivot_root,
    setns,
    umount2,
)
from pybuild.runtime.records import Operation


class SavedMounts:
    """The mount namespace and the root that this process has now, to which it can return."""

    __slots__ = ("_namespace", "_root")

    def __init__(self) -> None:
        self._namespace = os.open("/proc/self/ns/mnt", os.O_RDONLY)
        self._root = os.open("/", os.O_PATH | os.O_DIRECTORY)

    def restore(self) -> None:
        """Return to them. Paths then lead to the files of the host again."""
        # This sets the root to that of the namespace, which is another one if this process was in a chroot.
        setns(self._namespace, CLONE_NEWNS)
        os.fchdir(self._root)
        os.chroot(".")


def make_private() -> None:
    """Make all mounts of this namespace private, and the root of this process that of the namespace.

    To be called right after unshare(CLONE_NEWNS). It concerns the calling thread only. An OSError means that the
    kernel permits no sandbox; a failure that only a chroot can cause is the SandboxError of an `Operation`.
    """
    place = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        chrooted = _go_to_namespace_root(place)
        mount("none", "/", None, MS_REC | MS_PRIVATE)
        if chrooted:
            with Operation("leave the chroot"):
                _make_root(place)
    finally:
        os.close(place)


def _go_to_namespace_root(place: int) -> bool:
    """Change to the root of the mount namespace; return whether that is another directory than *place*.

    setns(2) has this effect, even with the namespace that the process is in already.
    """
    # Opened first: after setns(2) the path need not lead to a /proc.
    infos = os.open("/proc/thread-self/fdinfo", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    own = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    try:
        setns(own, CLONE_NEWNS)
        root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return _identity(infos, root) != _identity(infos, place)
        finally:
            os.close(root)
    finally:
        os.close(own)
        os.close(infos)


def _identity(infos: int, directory: int) -> tuple[int, int, bytes]:
    """Return device, inode and mount of a directory: a bind mount of it has the same inode, but another mount."""
    with open(os.open(b"%d" % directory, os.O_RDONLY, dir_fd=infos), "rb") as file:
        mount_id = next(line for line in file if line.startswith(b"mnt_id:"))
    found = os.fstat(directory)
    return found.st_dev, found.st_ino, mount_id


def _make_root(place: int) -> None:
    """Make *place*, with the mounts below it, the root of the namespace, and unmount the former root."""
    tree = open_tree(place, b"", OPEN_TREE_CLONE | AT_RECURSIVE)
    try:
        move_mount(tree, AT_FDCWD, "/")
        os.fchdir(tree)
        # The old root is then mounted on top of the new one, in the same place (pivot_root(2), NOTES).
        pivot_root(".", ".")
        umount2(".", MNT_DETACH)
        os.chdir("/")
    finally:
        os.close(tree)
