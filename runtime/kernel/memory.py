"""Reading the memory of another process by its number (process_vm_readv(2)).

The number may have been reused for another process, which the kernel does not report. The caller has to check that.
"""

import ctypes
import os

_LONGEST = 4096  # PATH_MAX: paths are the longest texts that are read
_libc = ctypes.CDLL(None, use_errno=True)
_libc.process_vm_readv.argtypes = (
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_ulong,
    ctypes.c_void_p,
    ctypes.c_ulong,
    ctypes.c_ulong,
)
_libc.process_vm_readv.restype = ctypes.c_ssize_t


class MemoryReader:
    """Reads pieces of at most 4096 bytes, into a buffer that is made once, since ctypes objects are slow to make."""

    __slots__ = ("_addresses", "_buffer", "_from", "_into")

    def __init__(self) -> None:
        self._buffer = ctypes.create_string_buffer(_LONGEST)
        self._into = (ctypes.c_uint64 * 2)(ctypes.addressof(self._buffer))
        self._from = (ctypes.c_uint64 * 2)()
        self._addresses = ctypes.addressof(self._buffer), ctypes.addressof(self._into), ctypes.addressof(self._from)

    def read(self, pid: int, address: int, size: int) -> bytes:
        """Return *size* bytes at *address* of process *pid*, or fewer if a page behind them cannot be read."""
        buffer, into, source = self._addresses
        self._into[1] = self._from[1] = min(size, _LONGEST)
        self._from[0] = address
        count: int = _libc.process_vm_readv(pid, into, 1, source, 1, 0)
        if count < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return ctypes.string_at(buffer, count)
