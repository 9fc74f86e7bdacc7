"""The process that made a call: its memory, and the places that its paths start at.

The supervisor has the /proc of its own PID namespace as working directory, so ``TID/cwd/...`` is a path for every call.
That is never followed by the kernel to anything of the host, because nothing of the host is mounted where the process
or the supervisor could see it. A number may be another process's once the call is no longer waited for, so whoever
opened or read something by it asks `check` before anything is changed by it. An answer needs no such question: the
kernel takes none for a call that is no longer waited for.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EFAULT, ENAMETOOLONG, ENOSYS, EPERM

from pybuild.runtime.kernel.memory import MemoryReader
from pybuild.runtime.supervisor.listener import Listener, Notification

AT_FDCWD = -100
_FIRST_PIECE, _PATH_MAX = 256, 4096
_UMASK = b"Umask:"
_reader = MemoryReader()
_NOT_PERMITTED = frozenset({EPERM, ENOSYS})
"""By filters of containers, some of which let nobody call process_vm_readv(2)."""


def signed(argument: int) -> int:
    """Return an argument that the kernel takes for an int."""
    low = argument & 0xFFFFFFFF
    return low - (1 << 32) if low & 0x80000000 else low


class Caller:
    """The process of one notification; as a context it closes what was opened of it."""

    __slots__ = ("_listener", "_memory", "call")

    def __init__(self, listener: Listener, call: Notification) -> None:
        self._listener, self.call, self._memory = listener, call, -1

    def __enter__(self) -> "Caller":  # noqa: PYI034 - typing.Self costs an import
        return self

    def __exit__(self, *_error: object) -> None:
        if self._memory >= 0:
            os.close(self._memory)

    def check(self) -> None:
        """Raise StaleCallError unless the number still is that of the process that made the call."""
        self._listener.check(self.call)

    def _open_memory(self) -> int:
        if self._memory < 0:
            memory = os.open(b"%d/mem" % self.call.tid, os.O_RDWR | os.O_CLOEXEC)
            self._memory = memory
            self.check()
        return self._memory

    def read(self, address: int, size: int) -> bytes:
        """Return *size* bytes at *address*; raises OSError EFAULT when they are not all there."""
        found = self._read(address, size)
        if len(found) < size:
            raise OSError(EFAULT, os.strerror(EFAULT))
        return found

    def text(self, address: int, most: int = _PATH_MAX) -> bytes:
        """Return the text at *address* without the NUL that ends it, at most *most* bytes with it."""
        for size in (min(_FIRST_PIECE, most), most):
            found, end, _ = self._read(address, size).partition(b"\0")
            if end:
                return found
            if len(found) < size:  # the memory ends before the text
                break
        raise OSError(ENAMETOOLONG if len(found) == most else EFAULT, "no text")

    def _read(self, address: int, size: int) -> bytes:
        if not 0 < address < 1 << 63:
            raise OSError(EFAULT, os.strerror(EFAULT))
        try:
            return _reader.read(self.call.tid, address, size)
        except OSError as error:
            if error.errno not in _NOT_PERMITTED:
                raise OSError(EFAULT, os.strerror(EFAULT)) from None
        memory = self._open_memory()
        try:
            return os.pread(memory, size, address)
        except OSError:
            raise OSError(EFAULT, os.strerror(EFAULT)) from None

    def write(self, address: int, data: bytes) -> None:
        """Put *data* at *address*; raises OSError EFAULT when that cannot be written."""
        if not 0 < address < 1 << 63:
            raise OSError(EFAULT, os.strerror(EFAULT))
        try:
            written = os.pwrite(self._open_memory(), data, address)
        except OSError:
            written = 0
        if written < len(data):
            raise OSError(EFAULT, os.strerror(EFAULT))

    def place(self, directory: int, path: bytes) -> bytes:
        """Return the path by which this process reaches what *path* means to the caller, as a call *at* has both."""
        if path.startswith(b"/"):
            return path
        return (b"%d/cwd/" % self.call.tid if directory == AT_FDCWD else self.descriptor(directory) + b"/") + path

    def descriptor(self, number: int) -> bytes:
        """Return the path of what the caller has open."""
        return b"%d/fd/%d" % (self.call.tid, number)

    def open(self, place: bytes, *, follow: bool) -> int:
        """Return an O_PATH descriptor of what is at *place*, surely the caller's."""
        fd = os.open(place, os.O_PATH | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW))
        try:
            self.check()
        except BaseException:
            os.close(fd)
            raise
        return fd

    def umask(self) -> int:
        """Return the mask of modes that the caller creates files with."""
        with open(b"%d/status" % self.call.tid, "rb", buffering=0) as file:
            lines = file.readall().splitlines()
        self.check()
        return next((int(line[len(_UMASK) :], 8) for line in lines if line.startswith(_UMASK)), 0o022)


@contextmanager
def root_of(caller: Caller, own: os.stat_result) -> Iterator[None]:
    """Let paths start at the root of *caller*: at *own*, unless it has called chroot(2)."""
    place = b"%d/root" % caller.call.tid
    found = os.stat(place)
    if (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino):
        yield
        return
    there = caller.open(place, follow=True)
    here = os.open(b"/", os.O_PATH | os.O_CLOEXEC)
    back = os.open(b".", os.O_PATH | os.O_CLOEXEC)
    try:
        os.fchdir(there)
        os.chroot(b".")
        os.fchdir(back)
        yield
    finally:
        _return(here, back)
        os.close(there)


def _return(root: int, directory: int) -> None:
    try:
        os.fchdir(root)
        os.chroot(b".")
        os.fchdir(directory)
    except OSError:  # nothing may be done in the root of somebody else
        os._exit(1)
    for fd in (root, directory):
        os.close(fd)
