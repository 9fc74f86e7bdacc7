"""The difference between a snapshot and its parent, as an ordered stream of changes.

Both ways of finding it give the same stream for the same pair of trees: parents before what is in them, the names of a
directory in byte order, a deleted directory as one change. The root directory itself is never reported. Sockets and
character devices 0:0 count as absent, because no layer can hold them. What is compared is the type, mode, owner, size,
modification time, link target, device number, extended attributes and content.

A file that was given more hard links is reported as modified although nothing else of it changed: a layer can only
express a link to a file that it holds itself.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

from pybuild.runtime.kernel.user_namespace import in_initial_namespace
from pybuild.runtime.paths.safepath import DirectoryEntry, Root, read_xattrs, scan_directory
from pybuild.runtime.paths.walk import open_beneath
from pybuild.runtime.snapshots.change import Change, ChangeKind
from pybuild.runtime.stopping import check

_PIECE = 1 << 20
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def overlay_changes(upper: int, lower: Root | None = None) -> Iterator[Change]:
    """Yield what the upper directory of an overlay changes over *lower*, the merged tree below it.

    A directory or file that overlayfs only copied up is no change, nor is the whiteout of what *lower* does not have;
    an opaque directory comes as the deletions that it stands for. Without *lower* that cannot be known: everything that
    is there is an ADD, every whiteout a DELETE, and an opaque directory is followed by OPAQUE.

    The stream reads as it is consumed; both directories stay open and unchanged until its end.
    """
    return _Comparison(lower.fd if lower else None, upper, overlay=True).stream()


def tree_changes(old: int | None, new: int, *, copied_ns: int = 0, whole_seconds: bool = False) -> Iterator[Change]:
    """Yield what the tree *new* changes over the tree *old*; None is an empty tree.

    *copied_ns* may be the moment by which *new* was a faithful copy of *old*, by the clock of its file system. Then
    a file that has an older change time is not read, unless a directory above it may have come from elsewhere: renaming
    a directory leaves no trace on what is in it. With *whole_seconds* the fractions of times do not count: a tree that
    went through an archive has lost them.
    """
    return _Comparison(old, new, overlay=False, copied_ns=copied_ns, whole_seconds=whole_seconds).stream()


@cache
def overlay_xattr_prefix() -> str:
    """Return how the attributes begin that overlayfs keeps for itself in the snapshots of this process.

    Inside a user namespace, and for an ordinary user, overlayfs is mounted with the option userxattr.
    """
    return "trusted.overlay." if os.geteuid() == 0 and in_initial_namespace() else "user.overlay."


@dataclass(frozen=True, slots=True)
class _Place:
    """A directory to compare: its path, and how it relates to the old tree."""

    path: str = ""
    paired: bool = True
    """The old tree has a directory there too."""
    merged: bool = False
    """Names that are absent in the new directory are inherited from the old one, not deleted."""
    moved: bool = False
    """The directory may have been renamed since the copy was made."""

    def below(self, name: str) -> str:
        return f"{self.path}/{name}" if self.path else name


class _Step(NamedTuple):
    """A part of the stream: a change, then the directory to go into."""

    name: str
    change: Change | None
    directory: _Place | None = None


class _Comparison:
    """Two trees by descriptor: no descriptor is held per level, and in memory is only the rest of each directory."""

    def __init__(
        self, old: int | None, new: int, *, overlay: bool, copied_ns: int = 0, whole_seconds: bool = False
    ) -> None:
        self._old = old
        self._new = new
        self._overlay = overlay
        self._copied_ns = copied_ns
        self._grain = 1_000_000_000 if whole_seconds else 1

    def stream(self) -> Iterator[Change]:
        stack = [iter(self._steps(_Place(merged=self._overlay, moved=not self._copied_ns)))]
        while stack:
            for step in stack[-1]:
                if step.change is not None:
                    yield step.change
                if step.directory is not None:
                    stack.append(iter(self._steps(step.directory)))
                    break
            else:
                stack.pop()

    def _steps(self, place: _Place) -> list[_Step]:
        new = open_beneath(self._new, place.path)
        try:
            opaque = _xattr(new, "opaque") if self._overlay else None
            entries = [(entry, _is_present(entry.stat)) for entry in scan_directory(new)]
            if opaque == b"x":
                # The directory holds whiteouts of the kind that is an empty file with an attribute (Linux 6.7).
                entries = [(entry, there and not _is_xattr_whiteout(new, entry)) for entry, there in entries]
            if self._old is None:
                return _steps_alone(place, entries, opaque)
            if not place.paired:
                return _steps_added(place, entries)
            old = open_beneath(self._old, place.path)
            try:
                if place.merged and opaque == b"y":
                    place = replace(place, merged=False, moved=True)
                return self._steps_paired(place, entries, (old, new))
            finally:
                os.close(old)
        finally:
            os.close(new)

    def _steps_paired(
        self, place: _Place, entries: list[tuple[DirectoryEntry, bool]], directories: tuple[int, int]
    ) -> list[_Step]:
        """Compare two directories by name; in a merged place the old names are looked up instead of listed."""
        if place.merged:
            before = {entry.name: status for entry, _ in entries if (status := _status(directories[0], entry.name))}
        else:
            before = {entry.name: entry.stat for entry in scan_directory(directories[0]) if _is_present(entry.stat)}
        steps = []
        for entry, there in entries:
            check()
            if there:
                steps.append(self._step(place, entry, before.pop(entry.name, None), directories))
        steps += [_Step(name, Change(ChangeKind.DELETE, place.below(name))) for name in before]
        steps.sort(key=lambda step: os.fsencode(step.name))
        return steps

    def _step(
        self, place: _Place, entry: DirectoryEntry, before: os.stat_result | None, directories: tuple[int, int]
    ) -> _Step:
        path = place.below(entry.name)
        if before is None:
            change = Change(ChangeKind.ADD, path)
        elif self._is_same(place, entry, before, directories):
            change = None
        else:
            change = Change(ChangeKind.MODIFY, path)
        if not stat.S_ISDIR(entry.stat.st_mode):
            return _Step(entry.name, change)
        paired = before is not None and stat.S_ISDIR(before.st_mode)
        moved = place.moved or entry.stat.st_ctime_ns >= self._copied_ns
        return _Step(entry.name, change, replace(place, path=path, paired=paired, moved=moved))

    def _is_same(
        self, place: _Place, entry: DirectoryEntry, before: os.stat_result, directories: tuple[int, int]
    ) -> bool:
        now = entry.stat
        if _essence(now, self._grain) != _essence(before, self._grain):
            return False
        # A file that overlayfs copied up keeps no links but those made since.
        links = 1 if place.merged else before.st_nlink
        if now.st_nlink > links and not stat.S_ISDIR(now.st_mode):
            return False
        if not place.moved and now.st_ctime_ns < self._copied_ns:
            return True
        return _is_same_inside(entry.name, stat.S_IFMT(now.st_mode), directories)


def _steps_alone(place: _Place, entries: list[tuple[DirectoryEntry, bool]], opaque: bytes | None) -> list[_Step]:
    """The steps of a directory when nothing is known of the old tree: its marks are passed on as they are."""
    steps = _steps_added(place, entries)
    if place.merged:
        steps += [_Step(e.name, Change(ChangeKind.DELETE, place.below(e.name))) for e, there in entries if not there]
        steps.sort(key=lambda step: os.fsencode(step.name))
        if opaque == b"y":
            steps.insert(0, _Step("", Change(ChangeKind.OPAQUE, place.path)))
    return steps


def _steps_added(place: _Place, entries: list[tuple[DirectoryEntry, bool]]) -> list[_Step]:
    steps = []
    for entry, there in entries:
        if there:
            path = place.below(entry.name)
            directory = replace(place, path=path, paired=False) if stat.S_ISDIR(entry.stat.st_mode) else None
            steps.append(_Step(entry.name, Change(ChangeKind.ADD, path), directory))
    return steps


def _is_present(status: os.stat_result) -> bool:
    mode = status.st_mode
    return not (stat.S_ISSOCK(mode) or (stat.S_ISCHR(mode) and status.st_rdev == 0))


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
    except FileNotFoundError:
        return None
    return status if _is_present(status) else None


def _essence(status: os.stat_result, grain: int) -> tuple[int, ...]:
    """What a layer keeps of a status, times in units of *grain* nanoseconds; directories have no size."""
    mode = status.st_mode
    size = 0 if stat.S_ISDIR(mode) else status.st_size
    device = status.st_rdev if stat.S_ISCHR(mode) or stat.S_ISBLK(mode) else 0
    return mode, status.st_uid, status.st_gid, size, status.st_mtime_ns // grain, device


def _is_same_inside(name: str, kind: int, directories: tuple[int, int]) -> bool:
    """Compare what a status does not show: link target, extended attributes, content."""
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
