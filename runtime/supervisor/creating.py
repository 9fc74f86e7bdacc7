"""What a step creates: it belongs to who the process says it is, or to the group of a directory that hands that down.

Most of it belongs to root, and is left to the kernel. The rest is made here, by descriptor and with a name that did not
exist, and recorded.
"""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import ENOENT, EPERM

from pybuild.runtime.ownership.record import DEVICES, ROOT, FileOwner
from pybuild.runtime.supervisor.caller import Caller, root_of
from pybuild.runtime.supervisor.files import OwnedFiles
from pybuild.runtime.supervisor.identities import Identities

_PATH, _NEW = os.O_PATH | os.O_CLOEXEC, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_KEPT_FLAGS = os.O_ACCMODE | os.O_APPEND | os.O_NONBLOCK | os.O_SYNC | os.O_DSYNC | os.O_DIRECT | os.O_NOATIME


class _Parent:
    """The open directory that something is to be created in, its name there, and who it will belong to."""

    __slots__ = ("fd", "name", "owner")

    def __init__(self, fd: int, name: bytes, owner: FileOwner) -> None:
        self.fd, self.name, self.owner = fd, name, owner


class Creating:
    """Carries out the calls that create files."""

    def __init__(self, files: OwnedFiles, identities: Identities) -> None:
        self._files, self._identities = files, identities
        self.close_on_exec = False
        """What the last call that was answered with a descriptor wants of it."""

    @contextmanager
    def _parent(self, caller: Caller, place: bytes) -> Iterator[_Parent | None]:
        """Open the directory of *place*; None when there is none, and the kernel is to say so."""
        directory, _, name = place.rpartition(b"/")
        if name in {b"", b".", b".."}:
            yield None
            return
        with root_of(caller, self._files.root):
            try:
                fd = caller.open(directory or b"/", follow=True)
            except OSError:
                yield None
                return
            try:
                yield _Parent(fd, name, self._owner(caller, fd))
            finally:
                os.close(fd)

    def _is_of_root(self, caller: Caller, place: bytes) -> bool:
        """Tell by two calls that what is made at *place* will be root's, or that nothing can be: it mostly will."""
        identity = self._identities.of(caller.call.tid)
        if self._files.has_roots or identity.users[1] or identity.groups[1]:
            return False
        try:
            return not os.stat(place.rpartition(b"/")[0] or b"/").st_mode & stat.S_ISGID
        except OSError:  # the kernel says what is wrong
            return True

    def _owner(self, caller: Caller, directory: int) -> FileOwner:
        """Return who will own what the caller makes in a directory."""
        identity = self._identities.of(caller.call.tid)
        if not os.fstat(directory).st_mode & stat.S_ISGID:
            return FileOwner(identity.users[1], identity.groups[1])
        return FileOwner(identity.users[1], (self._files.owner(directory) or ROOT).gid)

    def _make(self, caller: Caller, place: bytes, make: Callable[[_Parent], None]) -> int | None:
        if self._is_of_root(caller, place):
            return None
        with self._parent(caller, place) as parent:
            if parent is None or parent.owner.is_root():
                return None
            make(parent)
            self._record(parent, parent.owner)
        return 0

    def _record(self, parent: _Parent, owner: FileOwner) -> None:
        fd = os.open(parent.name, _PATH | os.O_NOFOLLOW, dir_fd=parent.fd)
        try:
            self._files.give(fd, owner)
        finally:
            os.close(fd)

    def mkdir(self, caller: Caller, place: bytes, mode: int) -> int | None:
        """Make a directory; None to let the kernel do it."""

        def make(parent: _Parent) -> None:
            os.mkdir(parent.name, mode & 0o1777 & ~caller.umask(), dir_fd=parent.fd)

        return self._make(caller, place.rstrip(b"/"), make)

    def symlink(self, caller: Caller, target: bytes, place: bytes) -> int | None:
        """Make a symbolic link; None to let the kernel do it."""
        if not target:
            return -ENOENT
        return self._make(caller, place, lambda parent: os.symlink(target, parent.name, dir_fd=parent.fd))

    def mknod(self, caller: Caller, place: bytes, mode: int, device: int) -> int | None:
        """Make a FIFO, a socket or a regular file; a device is made as a regular file that stands for it."""
        if stat.S_IFMT(mode) in DEVICES:
            return self._device(caller, place, mode, device)

        def make(parent: _Parent) -> None:
            os.mknod(parent.name, mode & ~0o7777 | mode & 0o7777 & ~caller.umask(), dir_fd=parent.fd)

        return self._make(caller, place, make)

    def _device(self, caller: Caller, place: bytes, mode: int, device: int) -> int | None:
        if (stat.S_IFMT(mode), device) == (stat.S_IFCHR, 0):  # to overlayfs it would be a deletion
            return -EPERM
        with self._parent(caller, place) as parent:
            if parent is None:
                return None
            bits = mode & 0o7777 & ~caller.umask()
            fd = os.open(parent.name, os.O_WRONLY | _NEW, bits, dir_fd=parent.fd)
            try:
                owner = parent.owner
                self._files.give(fd, FileOwner(owner.uid, owner.gid, stat.S_IFMT(mode), device))
            finally:
                os.close(fd)
        return 0

    def open(self, caller: Caller, place: bytes, flags: int, mode: int) -> int | None:
        """Return a descriptor of a file that did not exist and is not root's; None to let the kernel do it."""
        if flags & os.O_PATH or not flags & os.O_CREAT or flags & os.O_DIRECTORY or self._is_of_root(caller, place):
            return None
        with self._parent(caller, place) as parent:
            if parent is None or parent.owner.is_root():
                return None
            bits = mode & 0o7777 & ~caller.umask()
            try:
                fd = os.open(parent.name, flags & _KEPT_FLAGS | _NEW, bits, dir_fd=parent.fd)
            except FileExistsError:  # as the kernel will find, and open it if it may
                return None
            try:
                self._files.give(fd, parent.owner)
            except BaseException:
                os.close(fd)
                raise
            self.close_on_exec = bool(flags & os.O_CLOEXEC)
            return fd
