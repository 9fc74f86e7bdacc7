"""The owners of the files of a step, as recorded, and how calls change them."""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from errno import EAGAIN, EINVAL, ENOENT, EPERM, EROFS

from pybuild.runtime.kernel.syscalls import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2
from pybuild.runtime.ownership import record
from pybuild.runtime.ownership.record import NO_ID, RECORDABLE, SPECIAL, FileOwner
from pybuild.runtime.ownership.table import birth_of
from pybuild.runtime.supervisor.caller import AT_FDCWD, Caller, root_of
from pybuild.runtime.supervisor.identities import Identities, ProcessIds

AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH = 0x100, 0x1000
_CHOWN_FLAGS = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH

Birth = tuple[int, int]
"""Inode and time of birth, which no other file of the file system has had."""
PathArguments = tuple[int, int, int]
"""The arguments by which calls such as fstatat(2) name a file: directory, address of the path, flags."""


class OwnedFiles:
    """The files of a sandbox whose root is the one of this process."""

    def __init__(self, identities: Identities, upper: int = -1, *, may_chown: bool = True) -> None:
        """*upper* is a descriptor of the overlay's upper directory, -1 if the root is no overlay."""
        self._identities, self._upper, self._may_chown = identities, upper, may_chown
        self.root = os.stat("/")
        self.has_roots = False
        """Whether a process of the step has called chroot(2), so that callers may have different roots."""
        self._special: dict[Birth, FileOwner] = {}
        self._new: dict[Birth, FileOwner] = {}
        self._above = b""
        """The path of the root that this process has now, from that of the sandbox."""

    def add_special(self, known: Iterable[tuple[int, int, int, int]]) -> None:
        """Add known owners of symlinks, FIFOs and sockets, which can have no extended attribute."""
        self._special.update(((inode, born), FileOwner(uid, gid)) for inode, born, uid, gid in known)

    def new_special(self) -> list[tuple[int, int, int, int]]:
        """Return the owners that such files got in this step, with the inodes that they have on disk."""
        return [(*birth, owner.uid, owner.gid) for birth, owner in self._new.items()]

    def owner(self, fd: int) -> FileOwner | None:
        """Return the recorded owner of an open file, None if it has none."""
        kind = stat.S_IFMT(os.fstat(fd).st_mode)
        if kind in RECORDABLE:
            return record.read(descriptor_path(fd))
        if self._special and kind in SPECIAL:
            return self._special.get(birth_of(fd))
        return None

    def may_have_owner(self, place: bytes, *, follow: bool) -> bool:
        """Return, after one or two system calls, whether *place* may have a recorded owner. False if it is missing."""
        if record.read(place, follow=follow) is not None:
            return True
        if not self._special:
            return False
        return stat.S_IFMT(os.stat(place, follow_symlinks=follow).st_mode) in SPECIAL

    @contextmanager
    def root_of(self, caller: Caller) -> Iterator[None]:
        """Have this process's root be that of *caller* for a block."""
        with root_of(caller, self.root) as self._above:
            yield

    @contextmanager
    def found(self, caller: Caller, place: bytes, *, follow: bool) -> Iterator[int]:
        """Do `Caller.open` for a block."""
        fd = caller.open(place, follow=follow)
        try:
            yield fd
        finally:
            os.close(fd)

    def place(self, caller: Caller, at: PathArguments) -> bytes:
        """Return the path by which this process reaches the file that *at* names. Raises OSError if it names none."""
        return self.place_and_follow(caller, at)[0]

    def place_and_follow(self, caller: Caller, at: PathArguments) -> tuple[bytes, bool]:
        """Return `place`, and whether a symlink there is to be followed."""
        directory, path, flags = at
        text = caller.text(path) if path or not flags & AT_EMPTY_PATH else b""
        if text:
            return caller.place(directory, text), not flags & AT_SYMLINK_NOFOLLOW
        if not flags & AT_EMPTY_PATH:
            raise FileNotFoundError(ENOENT, "an empty path")
        # A link of /proc, which leads to what is open, be it itself a symlink.
        return (caller.name + b"/cwd" if directory == AT_FDCWD else caller.descriptor(directory)), True

    def chown(self, caller: Caller, at: PathArguments, ids: tuple[int, int]) -> int:
        """Answer calls that change the owner of a path."""
        if at[2] & ~_CHOWN_FLAGS:
            return -EINVAL
        place, follow = self.place_and_follow(caller, at)
        return self._chown(caller, _resolve_own_descriptor(caller, place), ids, follow=follow)

    def fchown(self, caller: Caller, number: int, ids: tuple[int, int]) -> int:
        """Answer calls that change the owner of a descriptor."""
        return self._chown(caller, caller.descriptor(number), ids, follow=True)

    def _chown(self, caller: Caller, place: bytes, ids: tuple[int, int], *, follow: bool) -> int:
        identity = self._identities.of(caller.call.tid)
        # By one descriptor: the owner that is compared and the one that is recorded are those of the same file.
        with self.root_of(caller), self.found(caller, place, follow=follow) as fd:
            before = self.owner(fd) or record.ROOT
            uid, gid = (old if new == NO_ID else new for old, new in zip((before.uid, before.gid), ids, strict=True))
            _check_chown(before, uid, gid, identity, privileged=identity.is_root and self._may_chown)
            self.set_owner(fd, FileOwner(uid, gid, before.kind, before.device))
        return 0

    def set_owner(self, fd: int, owner: FileOwner) -> None:
        """Record *owner* for an open file.

        A chown to the same, real owner comes first, for its effects: the kernel clears set-id bits and file
        capabilities, sets the change time, and overlayfs copies a file of a lower layer up.
        """
        mode = os.fstat(fd).st_mode
        kind = stat.S_IFMT(mode)
        if kind not in RECORDABLE and kind not in SPECIAL:  # a device, which is the sandbox's own in /dev
            return
        os.chown(descriptor_path(fd), 0, 0)
        if kind in RECORDABLE:
            self._record(fd, owner)
        else:
            birth = birth_of(fd)
            # What has no record is root's. One of root is only made to replace another.
            if not owner.is_root() or birth in self._special:
                self._special[birth] = owner
                self._new[self._on_disk(fd, birth)] = owner

    def keep_owner(self, caller: Caller, at: PathArguments) -> None:
        """Copy a special file up before the kernel does so to carry out a call, and record its owner anew.

        A copy has another inode, under which the owner must be recorded, and the kernel does not report it.
        """
        if not self._special:
            return
        try:
            place, follow = self.place_and_follow(caller, at)
            if not self.has_roots and stat.S_IFMT(os.stat(place, follow_symlinks=follow).st_mode) not in SPECIAL:
                return
            with self.root_of(caller), self.found(caller, place, follow=follow) as fd:
                if stat.S_IFMT(os.fstat(fd).st_mode) in SPECIAL and (owner := self.owner(fd)):
                    self.set_owner(fd, owner)
        except OSError:  # the kernel, which gets the call next, will fail with the right errno
            return

    def _on_disk(self, fd: int, birth: Birth) -> Birth:
        """Return inode and time of birth that an open file has in the upper directory.

        Those that overlayfs shows for a file that was copied up are still those of the lower layer.
        """
        if self._upper < 0 or os.fstat(fd).st_dev != self.root.st_dev:  # no overlay
            return birth
        path = self._above + os.readlink(descriptor_path(fd))
        flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
        inside = openat2(self._upper, path.lstrip(b"/"), flags, resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
        try:
            found = birth_of(inside)
        finally:
            os.close(inside)
        if found[1] != birth[1]:  # another file took its path in this moment
            raise OSError(EAGAIN, os.strerror(EAGAIN))
        return found

    def _record(self, fd: int, owner: FileOwner) -> None:
        try:
            record.write(descriptor_path(fd), owner)
        except OSError as error:
            # Files elsewhere, such as in /proc, have no extended attributes, and are in no layer.
            if error.errno == EROFS or os.fstat(fd).st_dev == self.root.st_dev:
                raise


def descriptor_path(fd: int) -> bytes:
    """Return the path of a descriptor of this process, whose working directory is /proc."""
    return b"self/fd/%d" % fd


def _resolve_own_descriptor(caller: Caller, place: bytes) -> bytes:
    """Return *place*, or `Caller.descriptor` if it is a name by which a process opens its own descriptors.

    Such names mean nothing to this process: in the sandbox's /proc there is no "self" for it.
    """
    for prefix in (b"/proc/self/fd/", b"/proc/thread-self/fd/", b"/dev/fd/"):
        if place.startswith(prefix):
            number = place[len(prefix) :]
            return caller.descriptor(int(number)) if number.isdigit() else place
    streams = {b"/dev/stdin": 0, b"/dev/stdout": 1, b"/dev/stderr": 2}
    return caller.descriptor(streams[place]) if place in streams else place


def _check_chown(before: FileOwner, uid: int, gid: int, identity: ProcessIds, *, privileged: bool) -> None:
    """Raise OSError EPERM for a change that the kernel permits to root only: see chown(2)."""
    if privileged:
        return
    if identity.users[1] != before.uid or uid != before.uid or not (gid == before.gid or identity.has_group(gid)):
        raise OSError(EPERM, os.strerror(EPERM))
