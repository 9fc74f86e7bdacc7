"""Answers to calls that create files, which belong to the identity of the process that calls.

Their group is that of the process, or that of a set-group-ID directory. Most files belong to root, and the kernel
creates them. The supervisor creates the others, by descriptor and with a name that did not exist, and records the
owner.
"""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import ENOENT, EPERM

from pybuild.runtime.ownership.record import DEVICES, ROOT, FileOwner
from pybuild.runtime.supervisor.caller import Caller, umask_of
from pybuild.runtime.supervisor.files import OwnedFiles
from pybuild.runtime.supervisor.identities import Identities

_PATH, _NEW = os.O_PATH | os.O_CLOEXEC, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# The flags that stay with a descriptor. Others say how to find a file, or what happens to an old one.
_KEPT_FLAGS = os.O_ACCMODE | os.O_APPEND | os.O_NONBLOCK | os.O_SYNC | os.O_DSYNC | os.O_DIRECT | os.O_NOATIME


class Parent:
    """The open directory of a file that is to be created, its name there, and its owner."""

    __slots__ = ("fd", "name", "owner")

    def __init__(self, fd: int, name: bytes, owner: FileOwner) -> None:
        self.fd, self.name, self.owner = fd, name, owner


class Creator:
    """Carries out the calls that create files."""

    def __init__(self, files: OwnedFiles, identities: Identities) -> None:
        self._files, self._identities = files, identities
        self.close_on_exec = False
        """Whether the descriptor that `open` has just returned is to be close-on-exec in the caller."""

    @contextmanager
    def _parent(self, caller: Caller, place: bytes) -> Iterator[Parent | None]:
        """Open the directory of *place*; None if that fails, and the kernel shall fail with the right errno."""
        directory, _, name = place.rpartition(b"/")
        if name in {b"", b".", b".."}:
            yield None
            return
        with self._files.root_of(caller):
            try:
                fd = caller.open(directory or b"/", follow=True)
            except OSError:  # the kernel will fail as well
                yield None
                return
            try:
                yield Parent(fd, name, self._owner(caller, fd))
            finally:
                os.close(fd)

    def makes_for_root(self, caller: Caller, place: bytes) -> bool:
        """Return, after two system calls, whether a file created at *place* will be root's, which is the usual case."""
        identity = self._identities.of(caller.call.tid)
        if self._files.has_roots or identity.users[1] or identity.groups[1]:
            return False
        try:
            return not os.stat(place.rpartition(b"/")[0] or b"/").st_mode & stat.S_ISGID
        except OSError:  # nothing can be created: the kernel will fail with the right errno
            return True

    def _owner(self, caller: Caller, directory: int) -> FileOwner:
        """Return the owner of what the caller creates in a directory."""
        identity = self._identities.of(caller.call.tid)
        if not os.fstat(directory).st_mode & stat.S_ISGID:
            return FileOwner(identity.users[1], identity.groups[1])
        return FileOwner(identity.users[1], (self._files.owner(directory) or ROOT).gid)

    def make(self, caller: Caller, place: bytes, make: Callable[[Parent], None]) -> int | None:
        """Have *make* create the file *place*, and record its owner; None to let the kernel create it."""
        if self.makes_for_root(caller, place):
            return None
        with self._parent(caller, place) as parent:
            if parent is None or parent.owner.is_root():
                return None
            # What is there already is an error of these calls, so the file whose owner is recorded is a new one.
            make(parent)
            self._record(parent, parent.owner)
        return 0

    def _record(self, parent: Parent, owner: FileOwner) -> None:
        fd = os.open(parent.name, _PATH | os.O_NOFOLLOW, dir_fd=parent.fd)
        try:
            self._files.set_owner(fd, owner)
        finally:
            os.close(fd)

    def mkdir(self, caller: Caller, place: bytes, mode: int) -> int | None:
        """Answer ``mkdir`` calls; None to let the kernel carry it out."""

        def make(parent: Parent) -> None:
            # Of the bits above the permissions, the kernel takes the sticky one only (mkdir(2)).
            with umask_of(caller):
                os.mkdir(parent.name, mode & 0o1777, dir_fd=parent.fd)

        return self.make(caller, place.rstrip(b"/"), make)

    def symlink(self, caller: Caller, target: bytes, place: bytes) -> int | None:
        """Answer ``symlink`` calls; None to let the kernel carry it out."""
        if not target:
            return -ENOENT
        return self.make(caller, place, lambda parent: os.symlink(target, parent.name, dir_fd=parent.fd))

    def mknod(self, caller: Caller, place: bytes, mode: int, device: int) -> int | None:
        """Answer ``mknod`` calls; None to let the kernel do it. In place of a device a file is recorded as one."""
        if stat.S_IFMT(mode) in DEVICES:
            return self._device(caller, place, mode, device)

        def make(parent: Parent) -> None:
            with umask_of(caller):
                os.mknod(parent.name, mode, dir_fd=parent.fd)

        return self.make(caller, place, make)

    def _device(self, caller: Caller, place: bytes, mode: int, device: int) -> int | None:
        if (stat.S_IFMT(mode), device) == (stat.S_IFCHR, 0):  # the whiteout of overlayfs
            return -EPERM
        with self._parent(caller, place) as parent:
            if parent is None:
                return None
            with umask_of(caller):
                fd = os.open(parent.name, os.O_WRONLY | _NEW, mode & 0o7777, dir_fd=parent.fd)
            try:
                owner = parent.owner
                self._files.set_owner(fd, FileOwner(owner.uid, owner.gid, stat.S_IFMT(mode), device))
            finally:
                os.close(fd)
        return 0

    def open(self, caller: Caller, place: bytes, flags: int, mode: int) -> int | None:
        """Create a file that does not become root's and return a descriptor of it; None to let the kernel open it."""
        if flags & os.O_PATH or not flags & os.O_CREAT or flags & os.O_DIRECTORY or self.makes_for_root(caller, place):
            return None
        with self._parent(caller, place) as parent:
            if parent is None or parent.owner.is_root():
                return None
            try:
                with umask_of(caller):
                    fd = os.open(parent.name, flags & _KEPT_FLAGS | _NEW, mode & 0o7777, dir_fd=parent.fd)
            except FileExistsError:  # nothing is created: the kernel opens the file, or fails with O_EXCL
                return None
            try:
                self._files.set_owner(fd, parent.owner)
            except BaseException:
                os.close(fd)
                raise
            self.close_on_exec = bool(flags & os.O_CLOEXEC)
            return fd
