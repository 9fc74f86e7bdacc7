"""What a container engine puts into the root file system of every container, and ``docker export`` into the archive.

`docker commit` does not include these files: they are on mounts, or in a layer of the container. An archive that comes
from a container has a marker file at its top.
"""

import os
import stat
from collections.abc import Iterable, Iterator

from pybuild.runtime.snapshots.change import Change, ChangeKind

_MARKS = (".dockerenv", "run/.containerenv")
_FILES = frozenset({*_MARKS, "dev/console", "etc/hosts", "etc/hostname", "etc/resolv.conf"})
_MADE = frozenset({"dev", "dev/pts", "dev/shm", "etc/mtab", "proc", "sys"})
_TOUCHED = frozenset({"dev", "etc", "run"})
"""Directories whose time changed because such a file was put into them."""


def is_container(tree: int) -> bool:
    """Return whether the tree of the descriptor *tree* was the rootfs of a container."""
    return any(_status(tree, mark) is not None for mark in _MARKS)


def without_container_files(changes: Iterable[Change], old: int, new: int) -> Iterator[Change]:
    """Yield *changes* from the tree *old* to the tree *new*, without those that the engine made."""
    for change in changes:
        made = change.path in _MADE and change.kind is ChangeKind.ADD
        touched = change.path in _TOUCHED and change.kind is ChangeKind.MODIFY and _is_touched(change.path, old, new)
        if not (change.path in _FILES or made or touched):
            yield change


def _is_touched(path: str, old: int, new: int) -> bool:
    before, after = _status(old, path), _status(new, path)
    if before is None or after is None or not stat.S_ISDIR(before.st_mode):
        return False
    return (before.st_mode, before.st_uid, before.st_gid) == (after.st_mode, after.st_uid, after.st_gid)


def _status(root: int, path: str) -> os.stat_result | None:
    from pybuild.runtime.paths.safepath import Root

    with Root.at(root) as tree:
        return tree.stat(path, follow=False)
