"""Replaces mounts after a chroot: puts files and directories into the tree for one run, and takes them out again.

What was at such a place is moved into a directory beside the tree, and back after the run. The directories above keep
their times, as they would with mounts, unless the step changes them. Targets are resolved inside the tree by
descriptor, while no process runs in it.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from stat import S_IMODE

from pybuild.runtime.chrooted.copies import remove_links, separate_links
from pybuild.runtime.kernel.syscalls import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2
from pybuild.runtime.paths.filelock import remove_tree
from pybuild.runtime.sandbox.inside.stubs import Stubs
from pybuild.runtime.snapshots.lent_mounts import Lent, record, take_back
from pybuild.runtime.snapshots.tree_listing import note_returned

_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_ASIDE = "aside"
Make = Callable[[int, str], None]
"""Takes an open directory and a name, and makes something of this name in it."""


class Places:
    """The places in the tree ``fs`` of the active snapshot in *directory* that have other content for one run."""

    def __init__(self, directory: Path, mark: int) -> None:
        """Processes of the run have *mark*."""
        self._directory, self._mark = directory, mark
        self.tree = os.open(directory / "fs", _DIRECTORY)
        self._root = os.readlink(f"/proc/self/fd/{self.tree}")
        # Beside the tree, because rename(2) works within one file system. The step, in its root, cannot reach it.
        (directory / _ASIDE).mkdir(mode=0o700)
        self._aside = os.open(directory / _ASIDE, _DIRECTORY)
        self._stubs = Stubs()
        self._places: list[_Place] = []
        self._lent: tuple[Lent, ...] = ()
        self._sockets: list[tuple[int, os.stat_result]] = []
        self._files: list[int] = []
        """Descriptors of the files that `put` had made."""
        record(directory, mark, ())

    def put(self, target: bytes, make: Make, *, directory: bool) -> bytes:
        """Have *make* make a file, or with *directory* a directory, at *target*; return its path without symlinks.

        Raises OSError when something of the other kind is there, or the place cannot be reached.
        """
        place = self._clear(target, directory=directory)
        make(place.parent, place.name)
        if not directory:
            self._files.append(os.open(place.name, _FILE, dir_fd=place.parent))
        place.keep_times()
        return place.path

    def lend(self, target: bytes, home: Path) -> bytes:
        """Move the directory *home* to *target* until `restore`; return its path in the tree."""
        place = self._clear(target, directory=True)
        # The record first: a builder that is killed between it and the rename loses nothing.
        place.lent = Lent.of(home)
        self._lent = (*self._lent, place.lent)
        record(self._directory, self._mark, self._lent)
        os.rename(home, place.name, dst_dir_fd=place.parent)
        place.keep_times()
        return place.path

    def link(self, target: bytes, socket: Path) -> bytes:
        """Link *socket*, a file of the host, to *target* until `restore`; return its path in the tree."""
        fd = os.open(socket, os.O_PATH | os.O_CLOEXEC)
        self._sockets.append((fd, os.fstat(fd)))

        place = self._clear(target, directory=False)
        # A copy of a socket would have nobody who listens.
        os.link(f"/proc/self/fd/{fd}", place.name, dst_dir_fd=place.parent)
        place.keep_times()
        return place.path

    def _clear(self, target: bytes, *, directory: bool) -> "_Place":
        """Move what is at *target* aside, which is made first if it is missing, so that its parents exist."""
        point = self._stubs.open(self.tree, target, directory=directory)
        try:
            path = os.fsencode(os.readlink(f"/proc/self/fd/{point}").removeprefix(self._root))
        finally:
            os.close(point)
        above, _, name = path.rpartition(b"/")
        parent = openat2(self.tree, above.lstrip(b"/") or b".", _DIRECTORY, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
        place = _Place(parent, path, os.fsdecode(name), str(len(self._places)))
        os.rename(place.name, place.aside, src_dir_fd=parent, dst_dir_fd=self._aside)
        place.moved = os.stat(place.aside, dir_fd=self._aside, follow_symlinks=False)
        self._places.append(place)
        return place

    def restore(self) -> None:
        """Take out everything, in the reverse order. No process that sees the tree may be left."""
        returned = []
        try:
            while self._places:
                place = self._places.pop()
                returned += place.restore(self._aside)
                os.close(place.parent)
            note_returned(self._directory, returned)
            take_back(self._directory)
            self._separate_lent()
            self._take_sockets()
            self._take_files()
            self._stubs.remove()
            with os.scandir(self._directory) as entries:
                if any(entry.name == _ASIDE for entry in entries):
                    _remove(self._directory, _ASIDE)
        finally:
            os.close(self._aside)
            os.close(self.tree)

    def _take_sockets(self) -> None:
        """Give the sockets of the host their owners and modes again, and leave no other links of them in the tree."""
        while self._sockets:
            fd, before = self._sockets.pop()
            try:
                now, path = os.fstat(fd), f"/proc/self/fd/{fd}"
                if (now.st_uid, now.st_gid, now.st_mode) != (before.st_uid, before.st_gid, before.st_mode):
                    os.chown(path, before.st_uid, before.st_gid)
                    os.chmod(path, S_IMODE(before.st_mode))
                if now.st_nlink > before.st_nlink:
                    remove_links(self.tree, (now.st_dev, now.st_ino))
            finally:
                os.close(fd)

    def _take_files(self) -> None:
        """Remove the files that were put into the tree from where the step has moved or linked them: no layer has them.

        A mounted file can be neither moved nor linked. One in place of a secret has no content, but its size.
        """
        while self._files:
            fd = self._files.pop()
            try:
                found = os.fstat(fd)
                if found.st_nlink:
                    remove_links(self.tree, (found.st_dev, found.st_ino))
            finally:
                os.close(fd)

    def _separate_lent(self) -> None:
        """Leave no file that is in a lent directory and in the tree, or in two lent directories, as a hard link.

        Mounts permit no such links. With one, whoever has the directory lent next could write to the file of a
        snapshot, and a later step on the snapshot to the file in the directory. If this fails, so does the step.
        """
        for number, lent in enumerate(self._lent):
            os.mkdir(f"separate{number}", 0o700, dir_fd=self._aside)
            scratch = os.open(f"separate{number}", _DIRECTORY, dir_fd=self._aside)
            home = os.open(lent.home, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                separate_links(home, scratch)
            finally:
                os.close(home)
                os.close(scratch)


class _Place:
    """One place: *name* in the directory *parent*. What was there is called *aside* in the directory for that."""

    def __init__(self, parent: int, path: bytes, name: str, aside: str) -> None:
        self.parent, self.path, self.name, self.aside = parent, path, name, aside
        self.before = os.fstat(parent)
        self.moved: os.stat_result | None = None
        """The status of what was there, right after it was moved aside, which changes its change time."""
        self.lent: Lent | None = None

    def keep_times(self) -> None:
        """Give *parent* the times that it had before something was put into it."""
        os.utime(".", ns=(self.before.st_atime_ns, self.before.st_mtime_ns), dir_fd=self.parent)

    def restore(self, aside: int) -> list[tuple[int, int]]:
        """Put back what was there, and return it as `note_returned` takes it.

        The list is empty if it was changed meanwhile, which a step can do by another hard link.
        """
        now = os.fstat(self.parent)
        returned = []
        if self.lent is not None:
            self._move_home(self.lent)
        remove_tree(self.parent, self.name)
        # The step may have removed the directory above: then what was there counts as removed, too.
        with suppress(FileNotFoundError):
            found = os.stat(self.aside, dir_fd=aside, follow_symlinks=False)
            os.rename(self.aside, self.name, src_dir_fd=aside, dst_dir_fd=self.parent)
            if self.moved is not None and found.st_ctime_ns == self.moved.st_ctime_ns:
                moved = os.stat(self.name, dir_fd=self.parent, follow_symlinks=False)
                returned.append((moved.st_ino, moved.st_ctime_ns))
        os.utime(".", ns=(now.st_atime_ns, now.st_mtime_ns), dir_fd=self.parent)
        return returned

    def _move_home(self, lent: Lent) -> None:
        """Move the directory home if it is where it was put; `take_back` finds it if the step has moved it."""
        with suppress(FileNotFoundError):
            found = os.stat(self.name, dir_fd=self.parent, follow_symlinks=False)
            if (found.st_dev, found.st_ino) == (lent.device, lent.inode):
                os.rename(self.name, lent.home, src_dir_fd=self.parent)


def _remove(directory: Path, name: str) -> None:
    top = os.open(directory, _DIRECTORY)
    try:
        remove_tree(top, name)
    finally:
        os.close(top)
