"""A hint for ext4, given once to a new directory of snapshots."""

import fcntl
import os
from array import array
from pathlib import Path

GET_FLAGS, _SET_FLAGS = 0x80086601, 0x40086602
TOP_OF_HIERARCHY = 0x20000
"""FS_TOPDIR_FL of linux/fs.h, chattr +T."""


def spread(directory: Path) -> None:
    """Make ext4 put each directory in *directory* into another part of the disk, as it does with home directories.

    Next to directories that were just removed, ext4 may search long for a free inode for each new file.
    """
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        flags = array("l", [0])
        fcntl.ioctl(handle, GET_FLAGS, flags)
        flags[0] |= TOP_OF_HIERARCHY
        fcntl.ioctl(handle, _SET_FLAGS, flags)
    except OSError:
        # Another file system, or another user's directory. Nothing depends on this hint but speed.
        return
    finally:
        os.close(handle)
