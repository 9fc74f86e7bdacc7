"""Free space on the file system of an output: its last megabytes are left for other programs."""

import errno
import os
import stat

from pybuild.builder.oci.limits import DEFAULT_LIMITS
from pybuild.runtime.paths.filesystems import disk_space

_STEP = 64 << 20


class Space:
    """Counts the bytes written to the file system of *fd*; pipes and devices have no limit."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._counts = stat.S_IFMT(os.fstat(fd).st_mode) in {stat.S_IFREG, stat.S_IFDIR}
        self._until_look = 0

    def take(self, count: int) -> None:
        """Raise OSError when *count* more bytes would leave less free space than `Limits.reserve`."""
        self._until_look -= count
        if self._until_look > 0 or not self._counts:
            return
        free = disk_space(self._fd)[1] - count - DEFAULT_LIMITS.reserve
        if free < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.readlink(f"/proc/self/fd/{self._fd}"))
        self._until_look = min(_STEP, free // 2)
