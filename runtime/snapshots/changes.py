"""The difference between a snapshot and its parent, as an ordered stream of changes.

`overlay_changes` reads it from the upper directory of an overlay, and `tree_changes` compares two whole trees. Both
yield the same changes in the same order: a directory before its entries, entries in byte order of their names, a
deleted directory as one change. The root directory itself is never reported. Sockets and character devices 0:0 count as
absent, because a layer cannot contain them. Files are the same when type, mode, owner, size, modification time, link
target, device number, extended attributes and content are.

A file that got another hard link is reported as modified, even if nothing else changed: a layer can contain a hard link
only together with the file that it links to.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from pybuild.runtime.kernel.user_namespace import in_initial_namespace
from pybuild.runtime.paths.safepath import DirectoryEntry, Root, read_xattrs, scan_directory
from pybuild.runtime.paths.walk import open_beneath
from pybuild.runtime.snapshots.change import Change, ChangeKind
from pybuild.runtime.snapshots.change_stream import (
    Place,
    TreeStep,
    in_order,
    is_present,
    step_of,
    steps_added,
    with_deletions,
)
from pybuild.runtime.stopping import check

_PIECE = 1 << 20
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # without waiting, if it is a FIFO by now


def overlay_changes(upper: int, lower: Root | None = None) -> Iterator[Change]:
    """Yield the changes that the upper directory of an overlay makes to *lower*, the merged tree below it.

    Files and directories that overlayfs copied up without a change are left out, and so are whiteouts of names that
    *lower* lacks. An opaque directory becomes the deletions that it stands for. Without *lower* none of this is known:
    every entry is an ADD, every whiteout a DELETE, and an opaque directory is followed by OPAQUE.

    The directories are read while the stream is consumed, so both must stay open and unchanged until its end.
    """
    return _Comparison(lower.fd if lower else None, upper, overlay=True).stream()


def tree_changes(old: int | None, new: int, *, copied_ns: int = 0, whole_seconds: bool = False) -> Iterator[Change]:
    """Yield the changes from the tree *old* to the tree *new*. None stands for an empty tree.

    When *new* began as a copy of *old*, *copied_ns* may be the time when that copy was complete, by the clock of its
    file system. Files whose change time is older are then not read. The exception are files below a directory that may
    have been renamed since: renaming a directory does not change the change times of the files in it.

    With *whole_seconds* fractions of seconds are ignored, for a tree that was unpacked from an archive without them.
    """
    return _Comparison(old, new, overlay=False, copied_ns=copied_ns, whole_seconds=whole_seconds).stream()


@cache
def overlay_xattr_prefix() -> str:
    """Return the prefix of overlayfs's own extended attributes in the snapshots of this process.

    Only root of the host may set ``trusted.`` attributes. Everybody else mounts overlayfs with the option userxattr.
    """
    return "trusted.overlay." if os.geteuid() == 0 and in_initial_namespace() else "user.overlay."


class _Comparison:
    """The comparison of two trees.

    No directory stays open while those below it are compared, since a tree may be deeper than a process may have open
    files.
    """

    def __init__(
        self, old: int | None, new: int, *, overlay: bool, copied_ns: int = 0, whole_seconds: bool = False
    ) -> None:
        self._old = old
        self._new = new
        self._overlay = overlay
        self._copied_ns = copied_ns
        self._grain = 1_000_000_000 if whole_seconds else 1

    def stream(self) -> Iterator[Change]:
        return in_order(Place(merged=self._overlay, moved=not self._copied_ns), self._steps)

    def _steps(self, place: Place) -> list[TreeStep]:
        new = open_beneath(self._new, place.path)
        try:
            opaque = _xattr(new, "opaque") if self._overlay else None
            entries = [(entry, is_present(entry.stat)) for entry in scan_directory(new)]
            if opaque == b"x":
                # Whiteouts in this directory may be empty files with an attribute, as an ordinary user makes them
                # (Linux 6.7, Documentation/filesystems/overlayfs.rst).
                entries = [(entry, there and not _is_xattr_whiteout(new, entry)) for entry, there in entries]
            if self._old is None:
                return _steps_alone(place, entries, opaque)
            if not place.paired:
                return steps_added(place, entries)
            old = open_beneath(self._old, place.path)
            try:
                if place.merged and opaque == b"y":
                    place = place._replace(merged=False, moved=True)
                return self._steps_paired(place, entries, (old, new))
            finally:
                os.close(old)
        finally:
            os.close(new)

    def _steps_paired(
        self, place: Place, entries: list[tuple[DirectoryEntry, bool]], directories: tuple[int, int]
    ) -> list[TreeStep]:
        """Compare two directories by name. For a merged one only the names in the new directory are looked up."""
        if place.merged:
            before = {entry.name: status for entry, _ in entries if (status := _status(directories[0], entry.name))}
        else:
            before = {entry.name: entry.stat for entry in scan_directory(directories[0]) if is_present(entry.stat)}
        steps = []
        for entry, there in entries:
            check()
            if there:
                steps.append(self._step(place, entry, before.pop(entry.name, None), directories))
        return with_deletions(place, steps, before)

    def _step(
        self, place: Place, entry: DirectoryEntry, before: os.stat_result | None, directories: tuple[int, int]
    ) -> TreeStep:
        same = before is not None and self._is_same(place, entry, before, directories)
        inner = None
        if stat.S_ISDIR(entry.stat.st_mode):
            paired = before is not None and stat.S_ISDIR(before.st_mode)
            moved = place.moved or entry.stat.st_ctime_ns >= self._copied_ns
            inner = place._replace(path=place.below(entry.name), paired=paired, moved=moved)
        return step_of(place, entry.name, inner, is_new=before is None, is_same=same)

    def _is_same(
        self, place: Place, entry: DirectoryEntry, before: os.stat_result, directories: tuple[int, int]
    ) -> bool:
        now = entry.stat
        if essence(now, self._grain) != essence(before, self._grain):
            return False
        # overlayfs copies up a file without its hard links, so all but one were made since.
        links = 1 if place.merged else before.st_nlink
        if now.st_nlink > links and not stat.S_ISDIR(now.st_mode):
            return False
        if not place.moved and now.st_ctime_ns < self._copied_ns:
            return True
        return is_same_inside(entry.name, stat.S_IFMT(now.st_mode), directories)


def _steps_alone(place: Place, entries: list[tuple[DirectoryEntry, bool]], opaque: bytes | None) -> list[TreeStep]:
    """Return the steps of a directory when there is no old tree: whiteouts become DELETE, opaque marks OPAQUE."""
    steps = steps_added(place, entries)
    if place.merged:
        steps = with_deletions(place, steps, (entry.name for entry, there in entries if not there))
        if opaque == b"y":
            steps.insert(0, TreeStep("", Change(ChangeKind.OPAQUE, place.path)))
    return steps


def _is_xattr_whiteout(directory: int, entry: DirectoryEntry) -> bool:
    if not stat.S_ISREG(entry.stat.st_mode) or entry.stat.st_size:
        return False
    file = os.open(entry.name, _FILE, dir_fd=directory)
    try:
        return _xattr(file, "whiteout") is not None
    finally:
        os.close(file)


def _xattr(fd: int, name: str) -> bytes | None:
    try:
        return os.getxattr(fd, overlay_xattr_prefix() + name)
    except OSError as error:
        if error.errno in {errno.ENODATA, errno.ENOTSUP}:
            return None
        raise


def _status(directory: int, name: str) -> os.stat_result | None:
    try:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:  # only the new tree has it
        return None
    return status if is_present(status) else None


def essence(status: os.stat_result, grain: int = 1) -> tuple[int, ...]:
    """Return the parts of a status that a layer contains. The modification time is in units of *grain* nanoseconds."""
    mode = status.st_mode
    # The size of a directory depends on the file system and on what was in it before.
    size = 0 if stat.S_ISDIR(mode) else status.st_size
    # Of other files st_rdev is whatever the file system has there.
    device = status.st_rdev if stat.S_ISCHR(mode) or stat.S_ISBLK(mode) else 0
    return mode, status.st_uid, status.st_gid, size, status.st_mtime_ns // grain, device


def is_same_inside(name: str, kind: int, directories: tuple[int, int]) -> bool:
    """Return whether the file *name* of type *kind* has the same link target, attributes and content in both."""
    with _both(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, directories) as (old, new):
        if kind == stat.S_IFLNK and os.readlink("", dir_fd=old) != os.readlink("", dir_fd=new):
            return False
        if read_xattrs(f"/proc/self/fd/{old}") != read_xattrs(f"/proc/self/fd/{new}"):
            return False
    return kind != stat.S_IFREG or _is_same_content(name, directories)


def _is_same_content(name: str, directories: tuple[int, int]) -> bool:
    with _both(name, _FILE, directories) as (old, new):
        while True:
            check()
            piece = os.read(new, _PIECE)
            if os.read(old, _PIECE) != piece:
                return False
            if not piece:
                return True


@contextmanager
def _both(name: str, flags: int, directories: tuple[int, int]) -> Iterator[tuple[int, int]]:
    first = os.open(name, flags, dir_fd=directories[0])
    try:
        second = os.open(name, flags, dir_fd=directories[1])
        try:
            yield first, second
        finally:
            os.close(second)
    finally:
        os.close(first)
