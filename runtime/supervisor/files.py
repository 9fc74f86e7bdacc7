"""The files of a step: who they belong to, and how that changes."""

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
At = tuple[int, int, int]
"""The arguments by which a call names a file: directory, address of the path, flags."""


class OwnedFiles:
    """The files of a sandbox whose root is the one of this process."""

    def __init__(self, identities: Identities, upper: int = -1, *, may_chown: bool = True) -> None:
        """*upper* is where overlayfs keeps what is changed, -1 for nowhere: the root is no overlay."""
        self._identities, self._upper, self._may_chown = identities, upper, may_chown
        self.root = os.stat("/")
        self.has_roots = False
        """Whether a process of the step may have another root than this one."""
        self._special: dict[Birth, FileOwner] = {}
        self._new: dict[Birth, FileOwner] = {}

    def add_special(self, known: Iterable[tuple[int, int, int, int]]) -> None:
        """Take the owners of symbolic links, FIFOs and sockets, which can have no attribute."""
        self._special.update(((inode, born), FileOwner(uid, gid)) for inode, born, uid, gid in known)

    def new_special(self) -> list[tuple[int, int, int, int]]:
        """Return the owners that such files were given, by the inodes that they have on disk."""
        return [(*birth, owner.uid, owner.gid) for birth, owner in self._new.items()]

    def owner(self, fd: int) -> FileOwner | None:
        """Return the record of an open file, None when it has none."""
        kind = stat.S_IFMT(os.fstat(fd).st_mode)
        if kind in RECORDABLE:
            return record.read(own(fd))
        if self._special and kind in SPECIAL:
            return self._special.get(birth_of(fd))
        return None

    def may_have_owner(self, place: bytes, *, follow: bool) -> bool:
        """Tell by one or two calls whether what is there can have a record; what is not there cannot."""
        if record.read(place, follow=follow) is not None:
            return True
        if not self._special:
            return False
        return stat.S_IFMT(os.stat(place, follow_symlinks=follow).st_mode) in SPECIAL

    @contextmanager
    def found(self, caller: Caller, place: bytes, *, follow: bool) -> Iterator[int]:
        """Open what is at *place*, surely the caller's, as an O_PATH descriptor."""
        fd = caller.open(place, follow=follow)
        try:
            yield fd
        finally:
            os.close(fd)

    def place(self, caller: Caller, at: At) -> bytes:
        """Return where this process finds what the arguments of a call mean. Raises OSError when they mean nothing."""
        directory, path, flags = at
        text = caller.text(path) if path or not flags & AT_EMPTY_PATH else b""
        if text:
            return caller.place(directory, text)
        if not flags & AT_EMPTY_PATH:
            raise FileNotFoundError(ENOENT, "an empty path")
        return b"%d/cwd" % caller.call.tid if directory == AT_FDCWD else caller.descriptor(directory)

    def chown(self, caller: Caller, at: At, ids: tuple[int, int]) -> int:
        """Change the owner of what a call names."""
        if at[2] & ~_CHOWN_FLAGS:
            return -EINVAL
        place = _own_descriptor(caller, self.place(caller, at))
        return self._chown(caller, place, ids, follow=not at[2] & AT_SYMLINK_NOFOLLOW)

    def fchown(self, caller: Caller, number: int, ids: tuple[int, int]) -> int:
        """Change the owner of what the caller has open."""
        return self._chown(caller, caller.descriptor(number), ids, follow=True)

    def _chown(self, caller: Caller, place: bytes, ids: tuple[int, int], *, follow: bool) -> int:
        identity = self._identities.of(caller.call.tid)
        with root_of(caller, self.root), self.found(caller, place, follow=follow) as fd:
            before = self.owner(fd) or record.ROOT
            uid, gid = (old if new == NO_ID else new for old, new in zip((before.uid, before.gid), ids, strict=True))
            _check_chown(before, uid, gid, identity, privileged=identity.is_root and self._may_chown)
            self.give(fd, FileOwner(uid, gid, before.kind, before.device))
        return 0

    def give(self, fd: int, owner: FileOwner) -> None:
        """Let an open file belong to *owner*.

        The kernel changes the owner, too, to the one that it has: it clears the set-id bits and the file capabilities
        by that, notes the time, and copies up what lies in a lower layer.
        """
        mode = os.fstat(fd).st_mode
        kind = stat.S_IFMT(mode)
        if kind not in RECORDABLE and kind not in SPECIAL:  # devices are the sandbox's own: they keep their owner
            return
        os.chown(own(fd), 0, 0)
        if kind in RECORDABLE:
            self._record(fd, owner)
        else:
            birth = birth_of(fd)
            if not owner.is_root() or birth in self._special:
                self._special[birth] = owner
                self._new[self._on_disk(fd, birth)] = owner

    def keep_owner(self, caller: Caller, at: At) -> None:
        """See that what a call is about to rename, link or change keeps its owner when overlayfs copies it up for that.

        The copy is another inode; so it is made now, where it can be noted whose it is.
        """
        try:
            place, follow = self.place(caller, at), not at[2] & AT_SYMLINK_NOFOLLOW
            with root_of(caller, self.root), self.found(caller, place, follow=follow) as fd:
                if stat.S_IFMT(os.fstat(fd).st_mode) in SPECIAL and (owner := self.owner(fd)):
                    self.give(fd, owner)
        except OSError:  # the kernel says what is wrong
            return

    def _on_disk(self, fd: int, birth: Birth) -> Birth:
        """Return what names the inode of an open file in the upper directory.

        After it was copied up, overlayfs goes on telling the number that it had below.
        """
        if self._upper < 0 or os.fstat(fd).st_dev != self.root.st_dev:  # no overlay
            return birth
        path = os.readlink(own(fd))
        flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
        inside = openat2(self._upper, path.lstrip(b"/"), flags, resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
        try:
            found = birth_of(inside)
        finally:
            os.close(inside)
        if found[1] != birth[1]:  # renamed in this moment, and replaced
            raise OSError(EAGAIN, os.strerror(EAGAIN))
        return found

    def _record(self, fd: int, owner: FileOwner) -> None:
        try:
            record.write(own(fd), owner)
        except OSError as error:
            # What is no file of the root or of a mount, such as one of /proc, has nothing to be recorded in.
            if error.errno == EROFS or os.fstat(fd).st_dev == self.root.st_dev:
                raise


def own(fd: int) -> bytes:
    """Return the path of a descriptor of this process, whose working directory is /proc."""
    return b"self/fd/%d" % fd


def _own_descriptor(caller: Caller, place: bytes) -> bytes:
    """Return *place*, or where it leads to when it is a name of the caller for one of its descriptors.

    "/proc/self" is nobody for this process, which is in no PID namespace of the sandbox.
    """
    for prefix in (b"/proc/self/fd/", b"/proc/thread-self/fd/", b"/dev/fd/"):
        if place.startswith(prefix):
            number = place[len(prefix) :]
            return caller.descriptor(int(number)) if number.isdigit() else place
    streams = {b"/dev/stdin": 0, b"/dev/stdout": 1, b"/dev/stderr": 2}
    return caller.descriptor(streams[place]) if place in streams else place


def _check_chown(before: FileOwner, uid: int, gid: int, identity: ProcessIds, *, privileged: bool) -> None:
    """Raise OSError EPERM for a change that the kernel permits to root only."""
    if privileged:
        return
    if identity.users[1] != before.uid or uid != before.uid or not (gid == before.gid or identity.has_group(gid)):
        raise OSError(EPERM, os.strerror(EPERM))
