"""Deletions of a layer: what a whiteout's name says, and carrying it out in each of the two formats."""

import os
import stat
from contextlib import suppress

from pybuild.builder.oci.errors import LayerError
from pybuild.builder.oci.layers.layer import OPAQUE_WHITEOUT, WHITEOUT_PREFIX
from pybuild.builder.oci.layers.unpack_directory import Directory, added
from pybuild.builder.oci.layers.unpack_metadata import copy_status, set_default_status
from pybuild.builder.oci.layers.unpack_tree import UnpackTree


def whiteout_target(path: str) -> str | None:
    """Return the name that the whiteout at *path* deletes, "" for all names in its directory; None for others.

    Raises:
        LayerError: the name begins like a whiteout and is none; other readers would understand different things.
    """
    directory, _, name = path.rpartition("/")
    if any(part.startswith(WHITEOUT_PREFIX) for part in directory.split("/")):
        raise LayerError(f"{path!r}: a whiteout is no directory")
    if not name.startswith(WHITEOUT_PREFIX):
        return None
    if name == OPAQUE_WHITEOUT:
        return ""
    target = name.removeprefix(WHITEOUT_PREFIX)
    if target in {"", ".", ".."} or target.startswith(WHITEOUT_PREFIX):
        raise LayerError(f"invalid whiteout: {path!r}")
    return target


def apply_whiteout(tree: UnpackTree, directory: Directory, target: str) -> None:
    """Delete *target* of lower layers in *directory*, all that they have in it when *target* is ""."""
    if tree.overlay:
        _note(tree, directory, target)
    elif not target:
        _clear(tree, directory)
    elif target not in directory.made:
        child = directory.children.get(target)
        if child is not None and child.ours:
            child.reset = True
            _clear(tree, child)
        else:
            tree.remove(directory, target)


def _note(tree: UnpackTree, directory: Directory, target: str) -> None:
    """Remember a deletion for the end; what was copied from below goes at once."""
    _drop_copies(tree, directory, target)
    tree.forget_paths()
    if target:
        names = [target]
    elif directory.parent is not None or tree.lower is None:
        directory.opaque = True
        return
    else:  # overlayfs knows no opaque root
        names = [entry.name for entry in tree.lower.scan("")]
    for name in names:
        tree.recall(directory, name)
        if name not in directory.whiteouts:
            tree.count_one()
            directory.whiteouts = added(directory.whiteouts, name)


def _drop_copies(tree: UnpackTree, directory: Directory, target: str) -> None:
    if target in directory.copied:
        tree.remove(directory, target)
    top = directory.children.get(target) if target else directory
    for inner in tree.directories(top) if top is not None else ():
        for name in sorted(inner.copied):
            tree.remove(inner, name)


def _clear(tree: UnpackTree, top: Directory) -> None:
    """Remove what the parent snapshot has below *top*, and leave what this layer has put there."""
    todo = [top]
    while todo:
        directory = todo.pop()
        for name in os.listdir(tree.fd(directory)):
            child = directory.children.get(name)
            if child is not None and child.ours:
                child.reset = True
                todo.append(child)
            elif name not in directory.made:
                tree.remove(directory, name)


def finish(tree: UnpackTree) -> None:
    """Write the whiteouts of an overlay, and give each directory the status and the time that it has at the end."""
    for directory in tree.directories():
        fd = tree.fd(directory)
        if tree.overlay:
            _write_whiteouts(tree, directory, fd)
        if not directory.explicit:
            _finish_implicit(tree, directory, fd)
        elif directory.mtime_ns is not None:
            os.utime(fd, ns=(directory.mtime_ns, directory.mtime_ns))


def _write_whiteouts(tree: UnpackTree, directory: Directory, fd: int) -> None:
    """Write what overlayfs needs, and only where a lower layer has something: elsewhere it would show the markers."""
    if directory.in_lower and directory.deleted and directory.parent is not None and directory.parent.shows_lower:
        _set_opaque(fd)
    if not directory.whiteouts or not directory.shows_lower:
        return
    for name in sorted(directory.whiteouts):
        child = directory.children.get(name)
        if child is not None and not child.ours:  # only there to hold whiteouts itself
            tree.remove(directory, name)
        if tree.lower_stat(directory, name) is not None:
            with suppress(FileExistsError):  # this layer has something there, which hides as well
                os.mknod(name, stat.S_IFCHR, os.makedev(0, 0), dir_fd=fd)


def _set_opaque(fd: int) -> None:
    try:
        os.setxattr(fd, "trusted.overlay.opaque", b"y")
    except PermissionError:  # in a user namespace, where overlayfs is mounted with userxattr
        os.setxattr(fd, "user.overlay.opaque", b"y")


def _finish_implicit(tree: UnpackTree, directory: Directory, fd: int) -> None:
    """Let a directory that the archive only passes through look as in the parent snapshot, if it is still there."""
    if not tree.overlay and directory.mtime_ns is not None and not directory.reset:
        # One that is as before may be on a read-only mount, as the root of a container with --read-only.
        if os.fstat(fd).st_mtime_ns != directory.mtime_ns:
            os.utime(fd, ns=(directory.mtime_ns, directory.mtime_ns))
    elif (
        tree.lower is not None and _keeps_lower_status(directory) and (found := tree.lower_stat(directory)) is not None
    ):
        copy_status(fd, found, tree.lower.xattrs(directory.path).items())
    else:
        set_default_status(fd)


def _keeps_lower_status(directory: Directory) -> bool:
    if directory.parent is None:
        return True
    return directory.name not in directory.parent.whiteouts and directory.parent.shows_lower
