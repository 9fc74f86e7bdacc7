"""Out of a chroot, inside a mount namespace of one's own: the kernel lets no process change its root from there.

A root that chroot(2) set is mostly a plain directory. Such a root cannot be made private, pivot_root(2) refuses it, and
the host's mounts would stay within reach of whoever breaks out of it.
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
from pybuild.runtime.wire import Operation


class SavedMounts:
    """The mounts and the root that this process has when it makes one of these, to come back to."""

    __slots__ = ("_namespace", "_root")

    def __init__(self) -> None:
        self._namespace = os.open("/proc/self/ns/mnt", os.O_RDONLY)
        self._root = os.open("/", os.O_PATH | os.O_DIRECTORY)

    def restore(self) -> None:
        """Come back. Names of files mean again what they mean to the caller of this process."""
        setns(self._namespace, CLONE_NEWNS)
        os.fchdir(self._root)
        os.chroot(".")


def make_private() -> None:
    """Let no mount of this namespace appear in another; afterwards the root of this process is that of the namespace.

    To be called right after unshare(CLONE_NEWNS), by a process of a single thread. OSErrors are the kernel's refusal;
    what only a chroot needs is an `Operation` of its own.
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
    """Make the namespace's root that of this process; return whether that is another one than *place*."""
    infos = os.open("/proc/self/fdinfo", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    own = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
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
    """Return what no other directory has: a bind mount of a directory has its inode, but is another mount."""
    with open(os.open(b"%d" % directory, os.O_RDONLY, dir_fd=infos), "rb") as file:
        mount_id = next(line for line in file if line.startswith(b"mnt_id:"))
    found = os.fstat(directory)
    return found.st_dev, found.st_ino, mount_id


def _make_root(place: int) -> None:
    """Make *place*, with what is mounted below it, the root of the namespace; the former root goes."""
    tree = open_tree(place, b"", OPEN_TREE_CLONE | AT_RECURSIVE)
    try:
        move_mount(tree, AT_FDCWD, "/")
        os.fchdir(tree)
        pivot_root(".", ".")
        umount2(".", MNT_DETACH)
        os.chdir("/")
    finally:
        os.close(tree)
