"""The identity of the file system that a file is on, and its size.

Inode number and change time identify a state of a file on one file system. But another file system that is mounted at
the same place later may have the same numbers, and a remote one may show any change time.
"""

import ctypes
import os
import struct
from functools import cache
from pathlib import Path

# f_type of statfs(2), mostly from linux/magic.h.
_EXT, _XFS, _BTRFS = 0xEF53, 0x58465342, 0x9123683E
_FUSE, _NFS, _9P, _CEPH = 0x65735546, 0x6969, 0x01021997, 0xC36400
_SMB, _SMB2, _VBOX = 0xFF534D42, 0xFE534D42, 0x786F4256
_ZFS, _BCACHEFS = 0x2FC12FC1, 0xCA451A4E
_WITH_ID = frozenset({_EXT, _XFS, _BTRFS})
"""File systems with an id that is written to the disk when they are made."""
_REMOTE = frozenset({_FUSE, _NFS, _SMB, _SMB2, _9P, _CEPH, _VBOX})
"""File systems whose change times come from another machine or program."""
_COPY_ON_WRITE = frozenset({_BTRFS, _ZFS, _BCACHEFS})
UNCOUNTED = 1 << 62
"""The size of a file system that counts no blocks."""
_AT_EMPTY_PATH = 0x1000
_STATX_MNT_ID_UNIQUE = 0x4000
_MASK_AT, _MOUNT_AT = 0, 144  # struct statx: stx_mask, stx_mnt_id
_TYPE_AT, _ID_AT, _FLAGS_AT = 0, 56, 80  # struct statfs of machines of 64 bits: f_type, f_fsid, f_flags
_LOOP = 7  # the major number of loop devices

_libc = ctypes.CDLL(None, use_errno=True)


def identity(fd: int) -> str | None:
    """Return a text that identifies the file system of an open file; None if its change times cannot be trusted.

    ext4, xfs and btrfs have an id of their own. For others, and for images, the number of the mount is a part of it,
    which is not reused until the host is booted again (Linux 6.8). Images are read-only or on a loop device: a program
    may make several with equal ids, inode numbers and change times.
    """
    found = _statfs(fd)
    kind = _kind(found)
    if kind in _REMOTE:
        return None
    number = struct.unpack_from("Q", found, _ID_AT)[0]
    device = os.fstat(fd).st_dev
    is_image = struct.unpack_from("l", found, _FLAGS_AT)[0] & os.ST_RDONLY or os.major(device) == _LOOP
    if kind in _WITH_ID and not is_image:
        return f"{kind:x}:{number:x}"
    return f"{kind:x}:{number:x}:{device:x}:{_mount(fd)}"


def is_copy_on_write(directory: Path) -> bool:
    """Return whether the file system of *directory* needs free space to overwrite what a file has already."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _kind(_statfs(fd)) in _COPY_ON_WRITE
    finally:
        os.close(fd)


def _statfs(fd: int) -> bytes:
    buffer = ctypes.create_string_buffer(256)
    if _libc.fstatfs(fd, buffer):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return buffer.raw


def _kind(found: bytes) -> int:
    kind: int = struct.unpack_from("l", found, _TYPE_AT)[0]
    return kind & 0xFFFFFFFF


def disk_space(target: int | Path) -> tuple[int, int]:
    """Return size and free space in bytes of the file system of a path or an open file.

    Both are `UNCOUNTED` where it reports a size of 0, which does not mean that it is full: ramfs, tmpfs with
    ``size=0``, and FUSE servers without statfs.
    """
    found = os.statvfs(target)
    if found.f_blocks == 0:
        return UNCOUNTED, UNCOUNTED
    return found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize


def _mount(fd: int) -> str:
    """Return the number of the mount and that of the boot; "" if there is none, or if it differs for each process."""
    buffer = ctypes.create_string_buffer(512)
    if not hasattr(_libc, "statx") or _has_own_mounts():
        return ""
    if _libc.statx(fd, b"", _AT_EMPTY_PATH, _STATX_MNT_ID_UNIQUE, buffer):
        return ""
    if not struct.unpack_from("I", buffer.raw, _MASK_AT)[0] & _STATX_MNT_ID_UNIQUE:
        return ""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return f"{struct.unpack_from('Q', buffer.raw, _MOUNT_AT)[0]:x}:{file.read().strip()}"


@cache
def _has_own_mounts() -> bool:
    """Return whether this process has copies of all mounts, with new numbers, as in a user namespace of its own."""
    # Imported here because every build loads this module, and ext4, xfs and btrfs do not need the import.
    from pybuild.runtime.kernel.user_namespace import in_initial_namespace

    return not in_initial_namespace()
