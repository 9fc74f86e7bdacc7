import ctypes
import errno
import mmap
import os

import pytest

from pybuild.runtime.kernel.memory import MemoryReader


def test_memory_is_read_up_to_its_end() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    start = libc.mmap(None, ctypes.c_size_t(2 * mmap.PAGESIZE), 3, 0x22, -1, 0)
    libc.munmap(ctypes.c_void_p(start + mmap.PAGESIZE), ctypes.c_size_t(mmap.PAGESIZE))
    ctypes.memmove(start + mmap.PAGESIZE - 4, b"last", 4)
    reader = MemoryReader()
    assert reader.read(os.getpid(), start + mmap.PAGESIZE - 4, 4) == b"last"
    assert reader.read(os.getpid(), start + mmap.PAGESIZE - 4, 9000) == b"last"
    with pytest.raises(OSError, match="Bad address") as caught:
        reader.read(os.getpid(), start + mmap.PAGESIZE, 1)
    assert caught.value.errno == errno.EFAULT
    libc.munmap(ctypes.c_void_p(start), ctypes.c_size_t(mmap.PAGESIZE))


def test_a_process_that_is_gone_has_none() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    with pytest.raises(ProcessLookupError):
        MemoryReader().read(child, 1 << 20, 1)
