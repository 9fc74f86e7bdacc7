"""The owners of files that can have no extended attribute: symlinks, FIFOs and sockets.

They are lines of a file in the store. An inode is identified by its number and its time of birth, because numbers are
reused. Lines are appended and never changed; the last one for an inode is valid.
"""

import fcntl
import os
import struct
from collections.abc import Iterable
from errno import ENOSPC, EOPNOTSUPP
from pathlib import Path

from pybuild.runtime.kernel.syscalls import statx
from pybuild.runtime.ownership.record import FileOwner

Line = tuple[int, int, int, int]
"""Inode, time of birth in ns, user, group."""
_FIELDS = 4
# STATX_INO and STATX_BTIME, and the offsets of stx_ino and stx_btime in struct statx (linux/stat.h).
_INO, _BTIME = 0x100, 0x800
_INODE_AT, _BIRTH_AT = 32, 80
_SECOND = 1_000_000_000
_INODE_MASK = (1 << 48) - 1
"""overlayfs uses the higher bits of an inode number for the number of the file system."""


def birth_of(fd: int) -> tuple[int, int]:
    """Return the identity of an inode: its number, and the time of its birth in nanoseconds.

    Raises OSError EOPNOTSUPP on a file system that does not keep the time of birth.
    """
    found = statx(fd, 0, _INO | _BTIME)
    if not struct.unpack_from("=I", found)[0] & _BTIME:
        raise OSError(EOPNOTSUPP, "the file system keeps no time of birth, which owners of symbolic links need")
    seconds, nanoseconds = struct.unpack_from("=qI", found, _BIRTH_AT)
    return struct.unpack_from("=Q", found, _INODE_AT)[0] & _INODE_MASK, seconds * _SECOND + nanoseconds


class OwnerTable:
    """The lines of the file at *path*, read again when it has grown. Without a path they are in memory only."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._read = 0
        self._owners: dict[tuple[int, int], FileOwner] = {}

    def owner(self, birth: tuple[int, int]) -> FileOwner | None:
        """Return the owner of an inode, None when it has no line."""
        self._update()
        return self._owners.get(birth)

    def is_empty(self) -> bool:
        """Return whether the table has no lines."""
        self._update()
        return not self._owners

    def entries(self) -> tuple[Line, ...]:
        """Return all lines."""
        self._update()
        return tuple((*birth, owner.uid, owner.gid) for birth, owner in self._owners.items())

    def add(self, lines: Iterable[Line]) -> None:
        """Add lines."""
        if self._path is None:
            self._take(lines)
        else:
            _append(self._path, b"".join(b"%d %d %d %d\n" % line for line in lines))

    def _take(self, lines: Iterable[Line]) -> None:
        for inode, born, uid, gid in lines:
            self._owners[inode, born] = FileOwner(uid, gid)

    def _update(self) -> None:
        if self._path is None:
            return
        try:
            with open(self._path, "rb", buffering=0) as file:
                if os.fstat(file.fileno()).st_size == self._read:
                    return
                # Not while another process appends: a part of its lines would be read, and cut in the middle.
                fcntl.flock(file, fcntl.LOCK_SH)
                file.seek(self._read)
                data = file.readall()
        except FileNotFoundError:
            return
        self._read += len(data)
        fields = (line.split() for line in data.splitlines())
        whole = (tuple(map(int, each)) for each in fields if len(each) == _FIELDS and all(map(bytes.isdigit, each)))
        self._take((inode, born, uid, gid) for inode, born, uid, gid in whole)


def _append(path: Path, data: bytes) -> None:
    with open(path, "ab", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        end = os.fstat(file.fileno()).st_size
        if file.write(data) < len(data):  # the disk is full: the next line must not be appended to a part of this one
            file.truncate(end)
            raise OSError(ENOSPC, os.strerror(ENOSPC), os.fspath(path))
