"""Copies a file or a directory with its whole status; the blocks of a file are shared where the file system can."""

import fcntl
import os
from stat import S_ISDIR, S_ISREG

from pybuild.runtime.paths.sparse import copy_data
from pybuild.runtime.snapshots.copies import copy_open_tree, copy_status

_FICLONE = 0x40049409


def copy_into(source: int, parent: int, name: str) -> None:
    """Copy the file or directory of the O_PATH descriptor *source* to *name* in the directory *parent*.

    Closes *source*. Raises OSError if it is neither a file nor a directory.
    """
    try:
        mode = os.fstat(source).st_mode
        if S_ISDIR(mode):
            os.mkdir(name, 0o700, dir_fd=parent)
            _copy_directory(source, parent, name)
        elif S_ISREG(mode):
            _copy_file(source, parent, name)
        else:
            raise OSError(22, "neither a file nor a directory")
    finally:
        os.close(source)


def _copy_directory(source: int, parent: int, name: str) -> None:
    target = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        copy_open_tree(source, target)
    finally:
        os.close(target)


def _copy_file(source: int, parent: int, name: str) -> None:
    # Opens the file of the descriptor itself, whatever is at its path by now.
    old = os.open(f"/proc/self/fd/{source}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        new = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=parent)
        try:
            status = os.fstat(old)
            try:
                fcntl.ioctl(new, _FICLONE, old)
            except OSError:
                copy_data(old, new, status)
            copy_status(old, new, status)
        finally:
            os.close(new)
    finally:
        os.close(old)
