"""The process that made a call: its memory, its root, and the directories at which its paths start.

The working directory of the supervisor is a /proc, so ``NAME/cwd/...`` is where a relative path of the caller leads.
NAME is the number of the caller's thread; where that /proc is of an outer PID namespace, the number that it has there.
It cannot lead to the host, since nothing of the host is mounted where caller or supervisor are.

When the caller dies, its number may be given to another process. So after something was opened or read by that number,
`Caller.check` must be called before anything is changed by it. Before an answer it need not be called, because the
kernel refuses answers to the calls of dead processes.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import EFAULT, ENAMETOOLONG, ENOSYS, EPERM

from pybuild.runtime.kernel.memory import MemoryReader
from pybuild.runtime.kernel.pidfd import copy_descriptor, open_thread
from pybuild.runtime.supervisor.listener import Listener, Notification

AT_FDCWD = -100
_FIRST_PIECE, _PATH_MAX = 256, 4096  # nearly all paths are shorter than the first
_UMASK = b"Umask:"
_reader = MemoryReader()
_NOT_PERMITTED = frozenset({EPERM, ENOSYS})
"""Filters of some containers forbid process_vm_readv(2); /proc/TID/mem, which is slower, serves then."""


def signed(argument: int) -> int:
    """Return the value of an argument of type int, of which the kernel uses the low half."""
    low = argument & 0xFFFFFFFF
    return low - (1 << 32) if low & 0x80000000 else low


class Caller:
    """The process of one notification. Used as a context manager, it closes its memory in the end."""

    __slots__ = ("_listener", "_memory", "_name", "call")

    def __init__(self, listener: Listener, call: Notification) -> None:
        self._listener, self.call, self._memory, self._name = listener, call, -1, b""

    def __enter__(self) -> "Caller":  # noqa: PYI034 - typing.Self costs an import
        return self

    def __exit__(self, *_error: object) -> None:
        if self._memory >= 0:
            os.close(self._memory)

    @property
    def name(self) -> bytes:
        """The name of its directory in the /proc that is the working directory of this process."""
        if not self._name:
            self._name = self._listener.name_of(self.call.tid)
        return self._name

    def check(self) -> None:
        """Raise StaleCallError unless the call still waits, so that its number is that of the process that made it."""
        self._listener.check(self.call)

    def _open_memory(self) -> int:
        if self._memory < 0:
            memory = os.open(self.name + b"/mem", os.O_RDWR | os.O_CLOEXEC)
            self._memory = memory
            # Afterwards: the open file stays that of one process, whoever has its number later (seccomp_unotify(2)).
            self.check()
        return self._memory

    def read(self, address: int, size: int) -> bytes:
        """Return *size* bytes at *address*. Raises OSError EFAULT if a part of them is not mapped."""
        found = self._read(address, size)
        while len(found) < size:  # a piece has a length that is enough for a path
            piece = self._read(address + len(found), size - len(found))
            if not piece:
                raise OSError(EFAULT, os.strerror(EFAULT))
            found += piece
        return found

    def text(self, address: int, most: int = _PATH_MAX) -> bytes:
        """Return the text at *address* without its NUL. Raises OSError ENAMETOOLONG beyond *most* bytes, or EFAULT."""
        for size in (min(_FIRST_PIECE, most), most):
            found, end, _ = self._read(address, size).partition(b"\0")
            if end:
                return found
            if len(found) < size:  # the mapped memory ends before the text does
                break
        raise OSError(ENAMETOOLONG if len(found) == most else EFAULT, "no text")

    def _read(self, address: int, size: int) -> bytes:
        if not 0 < address < 1 << 63:  # no address of a process, and no offset that os.pread takes
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
        """Write *data* to *address*. Raises OSError EFAULT if that cannot be written."""
        if not 0 < address < 1 << 63:
            raise OSError(EFAULT, os.strerror(EFAULT))
        # Not by process_vm_writev(2), which takes a number: it might write to another process, without an error.
        try:
            written = os.pwrite(self._open_memory(), data, address)
        except OSError:  # no memory is mapped there
            written = 0
        if written < len(data):
            raise OSError(EFAULT, os.strerror(EFAULT))

    def place(self, directory: int, path: bytes) -> bytes:
        """Return the path by which the supervisor reaches *path*, relative to *directory* as in openat(2).

        An absolute path is returned as it is, and is right inside `root_of`.
        """
        if path.startswith(b"/"):
            return path
        return (self.name + b"/cwd/" if directory == AT_FDCWD else self.descriptor(directory) + b"/") + path

    def descriptor(self, number: int) -> bytes:
        """Return the path by which the supervisor reaches the descriptor *number* of the caller."""
        return b"%b/fd/%d" % (self.name, number)

    def open(self, place: bytes, *, follow: bool) -> int:
        """Return an O_PATH descriptor of *place*, after a `check` that the number in it was that of the caller."""
        return self._checked(os.open(place, os.O_PATH | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)))

    def copy(self, number: int) -> int:
        """Return a copy of the descriptor *number* of the caller, after a `check`."""
        pidfd = open_thread(self.call.tid)
        try:
            return self._checked(copy_descriptor(pidfd, number))
        finally:
            os.close(pidfd)

    def _checked(self, fd: int) -> int:
        """Return *fd*, which was opened by a name or number of the caller, after a `check`; close it if that fails."""
        try:
            self.check()
        except BaseException:
            os.close(fd)
            raise
        return fd

    def umask(self) -> int:
        """Return the umask of the caller."""
        with open(self.name + b"/status", "rb", buffering=0) as file:
            lines = file.readall().splitlines()
        self.check()
        return next((int(line[len(_UMASK) :], 8) for line in lines if line.startswith(_UMASK)), 0o022)


Arguments = tuple[int, ...]
Answer = int | None
"""What the call returns, a negative errno for failure; None when the kernel is to carry it out."""
Handler = Callable[[Caller, Arguments], Answer]


@contextmanager
def root_of(caller: Caller, own: os.stat_result) -> Iterator[bytes]:
    """Have this process's root be that of *caller* for a block; yield the path from one to the other.

    *own* is its root now, which is mostly the same one: then the path is b"".
    """
    place = caller.name + b"/root"
    found = os.stat(place)
    if (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino):
        yield b""
        return
    # By descriptors, since no path leads from one root to the other. The working directory stays the /proc in which
    # callers are looked up.
    there = caller.open(place, follow=True)
    here = os.open(b"/", os.O_PATH | os.O_CLOEXEC)
    back = os.open(b".", os.O_PATH | os.O_CLOEXEC)
    try:
        # Read before the root changes, since the kernel shows paths from the root of the reader.
        path = os.readlink(b"self/fd/%d" % there)
        os.fchdir(there)
        os.chroot(b".")
        os.fchdir(back)
        yield path
    finally:
        _return(back, root=here)
        os.close(there)


@contextmanager
def directory_of(caller: Caller) -> Iterator[None]:
    """Have this process's working directory be that of *caller* for a block, in which no caller can be looked up."""
    there = caller.open(caller.name + b"/cwd", follow=True)
    back = os.open(b".", os.O_PATH | os.O_CLOEXEC)
    try:
        os.fchdir(there)
        yield
    finally:
        _return(back)
        os.close(there)


@contextmanager
def umask_of(caller: Caller) -> Iterator[None]:
    """Have this process's umask be that of *caller* for a block.

    It is left to the kernel to apply it, which does not where the directory has a default ACL.
    """
    os.umask(caller.umask())
    try:
        yield
    finally:
        os.umask(0)


def _return(directory: int, *, root: int | None = None) -> None:
    try:
        if root is not None:
            os.fchdir(root)
            os.chroot(b".")
            os.close(root)
        os.fchdir(directory)
        os.close(directory)
    except OSError:  # end, and fail the step, rather than continue in the root of one caller
        os._exit(1)
