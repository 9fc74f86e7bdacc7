"""The differences between the trees of two images, as docker diff lists them, with the status of both sides."""

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace

from pybuild.builder.oci.layers.host_entry import portable_xattrs
from pybuild.runtime.paths.safepath import read_xattrs
from pybuild.runtime.paths.walk import open_beneath
from pybuild.runtime.snapshots.change import Change, ChangeKind
from pybuild.runtime.snapshots.changes import tree_changes

_PIECE = 1 << 20
_TYPES = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "link",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
    stat.S_IFIFO: "pipe",
}
_LETTERS = {ChangeKind.ADD: "A", ChangeKind.MODIFY: "C", ChangeKind.DELETE: "D"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PathState:
    """An entry at a path. *digest* is that of the content of a file, "" for other kinds and unless requested."""

    type: str
    mode: int
    uid: int
    gid: int
    size: int = 0
    mtime: int = 0
    digest: str = ""
    link: str = ""
    device: str = ""
    xattrs: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class FileChange:
    """A path that differs: *kind* is A, C or D; *path* begins with a slash and is surrogate-escaped."""

    kind: str
    path: str
    before: PathState | None
    after: PathState | None


def tree_differences(before: int, after: int, *, digests: bool, times: bool) -> Iterator[FileChange]:
    """Yield the differences between the trees of two descriptors, parents first.

    As in docker diff, a directory is listed as changed when something in it differs, and nothing is listed below a
    deleted directory. Times are compared in whole seconds and only with *times*; those of directories never are,
    because every builder writes to directories in another order. Files of one side only are read just for *digests*.
    """
    listed: set[str] = set()
    for change in tree_changes(before, after):
        old = None if change.kind is ChangeKind.ADD else node_at(before, change.path, digest=_reads(change, digests))
        new = None if change.kind is ChangeKind.DELETE else node_at(after, change.path, digest=_reads(change, digests))
        if old and new and _essence(old, times=times) == _essence(new, times=times):
            continue
        for directory in _parents(change.path):
            if directory not in listed:
                listed.add(directory)
                sides = node_at(before, directory, digest=False), node_at(after, directory, digest=False)
                yield FileChange("C", f"/{directory}", *sides)
        listed.add(change.path)
        yield FileChange(_LETTERS[change.kind], f"/{change.path}", old, new)


def node_at(root: int, path: str, *, digest: bool) -> PathState:
    """Return the entry at *path* below *root*; no component of it may be a symlink."""
    handle = open_beneath(root, path, os.O_PATH)
    try:
        found = os.fstat(handle)
        kind = stat.S_IFMT(found.st_mode)
        special = kind in {stat.S_IFCHR, stat.S_IFBLK}
        is_file = kind == stat.S_IFREG
        return PathState(
            type=_TYPES.get(kind, "unknown"),
            mode=stat.S_IMODE(found.st_mode),
            uid=found.st_uid,
            gid=found.st_gid,
            size=found.st_size if is_file else 0,
            mtime=int(found[stat.ST_MTIME]),
            digest=_digest(handle) if is_file and digest else "",
            link=os.readlink("", dir_fd=handle) if kind == stat.S_IFLNK else "",
            device=f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}" if special else "",
            xattrs=portable_xattrs(read_xattrs(f"/proc/self/fd/{handle}").items()),
        )
    finally:
        os.close(handle)


def _reads(change: Change, digests: bool) -> bool:
    return digests or change.kind is ChangeKind.MODIFY


def _essence(node: PathState, *, times: bool) -> PathState:
    return node if times and node.type != "directory" else replace(node, mtime=0)


def _parents(path: str) -> Iterator[str]:
    """Yield the directories above *path*, topmost first, without the root."""
    names = path.split("/")[:-1]
    return ("/".join(names[:count]) for count in range(1, len(names) + 1))


def _digest(handle: int) -> str:
    """Hash the regular file behind an O_PATH descriptor."""
    hasher = hashlib.sha256()
    with open(f"/proc/self/fd/{handle}", "rb", buffering=0) as file:
        while piece := file.read(_PIECE):
            hasher.update(piece)
    return f"sha256:{hasher.hexdigest()}"
