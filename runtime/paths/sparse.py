"""Files with holes: finding their data, and copying them with the holes."""

import errno
import os
from collections.abc import Iterator

from pybuild.runtime.stopping import check

_PIECE = 64 << 20
"""The most bytes of one copy_file_range(2), so that an interrupt is noticed soon."""


def has_holes(status: os.stat_result) -> bool:
    """Return whether a file occupies less than its size, which may also mean that the file system compresses."""
    return status.st_blocks * 512 < status.st_size


def data_ranges(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of each part of the first *size* bytes that is no hole, in ascending order.

    If the file system does not support SEEK_DATA, or the file was truncated meanwhile, the rest is one part. The
    position of *fd* changes.
    """
    end = 0
    while end < size:
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
            end = os.lseek(fd, start, os.SEEK_HOLE)
        except OSError as error:
            # ENXIO: no data after *end*, or *end* is beyond the end of the file by now (lseek(2)).
            if error.errno == errno.ENXIO and os.fstat(fd).st_size >= size:
                return  # only a hole is left
            if error.errno not in {errno.ENXIO, errno.EINVAL, errno.EOPNOTSUPP}:
                raise
            start, end = end, size
        if start < size:
            yield start, min(end, size)


def copy_data(old: int, new: int, status: os.stat_result) -> None:
    """Copy the data of *old* to the empty file *new*, with the holes."""
    if not has_holes(status):
        _copy_range(old, new, 0, status.st_size)
        return
    os.truncate(new, status.st_size)  # what is not written stays a hole, also at the end
    for start, end in data_ranges(old, status.st_size):
        _copy_range(old, new, start, end)


def _copy_range(old: int, new: int, start: int, end: int) -> None:
    while start < end:
        check()
        copied = _copy_piece(old, new, start, min(end - start, _PIECE))
        if not copied:
            raise OSError(errno.EIO, "a file became shorter while it was copied")
        start += copied


def _copy_piece(old: int, new: int, start: int, length: int) -> int:
    try:
        return os.copy_file_range(old, new, length, start, start)
    except OSError as error:
        if error.errno not in {errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP}:
            raise
    # copy_file_range(2) works within one file system only, and an overlay is not the one that it is made of.
    os.lseek(new, start, os.SEEK_SET)
    return os.sendfile(new, old, start, length)
