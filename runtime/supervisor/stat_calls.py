"""Answers to calls of the stat family: the kernel's status, with the recorded owner and type of file."""

import os
import struct

from pybuild.runtime.kernel.syscalls import statx
from pybuild.runtime.ownership.record import FileOwner
from pybuild.runtime.supervisor.caller import Caller
from pybuild.runtime.supervisor.files import OwnedFiles, PathArguments

# The kernel's struct stat of each machine (asm/stat.h).
_X86_64 = struct.Struct("=QQQIIIIQqqqqQqQqQ24x")
_AARCH64 = struct.Struct("=QQIIIIQQqiiqqQqQqQ8x")
# In struct statx (linux/stat.h): stx_uid, stx_gid and stx_mode, which follow each other, and stx_rdev_major.
_STATX_IDS = struct.Struct("=IIH")
_AT_IDS, _AT_DEVICE = 20, 128
# AT_STATX_SYNC_TYPE; the highest bit of a mask, STATX__RESERVED, is an error (EINVAL).
_SYNC_FLAGS, _STATX_MASK = 0x6000, 0x7FFFFFFF
_SECOND = 1_000_000_000

StatxArguments = tuple[int, int] | None
"""Flags and mask for statx(2), None for stat(2)."""


class StatusAnswers:
    """Answers calls for the status of *files*. Methods return False if the kernel can carry out the call itself."""

    def __init__(self, files: OwnedFiles, machine: str) -> None:
        self._files, self._machine = files, machine

    def by_name(self, caller: Caller, at: PathArguments, buffer: int) -> bool:
        """Answer stat(2) and its variants with a path."""
        return self._by_name(caller, at, buffer, None)

    def by_descriptor(self, caller: Caller, number: int, buffer: int) -> bool:
        """Answer fstat(2)."""
        return self._answer(caller, caller.descriptor(number), buffer, None, follow=True)

    def extended(self, caller: Caller, at: PathArguments, mask: int, buffer: int) -> bool:
        """Answer statx(2)."""
        return self._by_name(caller, at, buffer, (at[2] & _SYNC_FLAGS, mask & _STATX_MASK))

    def _by_name(self, caller: Caller, at: PathArguments, buffer: int, ask: StatxArguments) -> bool:
        try:
            place, follow = self._files.place_and_follow(caller, at)
        except OSError:  # the kernel will fail as well, and return the right errno
            return False
        return self._answer(caller, place, buffer, ask, follow=follow)

    def _answer(self, caller: Caller, place: bytes, buffer: int, ask: StatxArguments, *, follow: bool) -> bool:
        files = self._files
        try:  # the fast path, which answers for most files
            if not files.has_roots and not files.may_have_owner(place, follow=follow):
                return False
        except OSError:  # as above
            return False
        with self._files.root_of(caller):
            try:
                if not self._files.may_have_owner(place, follow=follow):
                    return False
                with self._files.found(caller, place, follow=follow) as fd:
                    owner = self._files.owner(fd)
                    if owner is None:
                        return False
                    data = stat_of(fd, owner, self._machine) if ask is None else _statx_of(fd, owner, *ask)
            except OSError:  # as above
                return False
        caller.write(buffer, data)
        return True


def stat_of(fd: int, owner: FileOwner, machine: str) -> bytes:
    """Return the ``struct stat`` of an open file that belongs to *owner*."""
    found = os.fstat(fd)
    mode, device = owner.mode(found.st_mode), owner.device if owner.kind else found.st_rdev
    # A device has no size, whatever was written to the file that stands for it.
    size, blocks = (0, 0) if owner.kind else (found.st_size, found.st_blocks)
    times = [part for ns in (found.st_atime_ns, found.st_mtime_ns, found.st_ctime_ns) for part in divmod(ns, _SECOND)]
    inode, links, ids = (found.st_dev, found.st_ino), found.st_nlink, (owner.uid, owner.gid)
    if machine == "x86_64":
        return _X86_64.pack(*inode, links, mode, *ids, 0, device, size, found.st_blksize, blocks, *times)
    return _AARCH64.pack(*inode, mode, links, *ids, device, 0, size, found.st_blksize, 0, blocks, *times)


def _statx_of(fd: int, owner: FileOwner, flags: int, mask: int) -> bytes:
    found = bytearray(statx(fd, flags, mask))
    mode = owner.mode(os.fstat(fd).st_mode)
    _STATX_IDS.pack_into(found, _AT_IDS, owner.uid, owner.gid, mode)
    if owner.kind:
        struct.pack_into("=II", found, _AT_DEVICE, os.major(owner.device), os.minor(owner.device))
    return bytes(found)
