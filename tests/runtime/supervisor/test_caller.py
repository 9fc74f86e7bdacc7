import ctypes
import mmap
import os
from pathlib import Path

import pytest

from pybuild.runtime.kernel.memory import MemoryReader
from pybuild.runtime.ownership import record
from pybuild.runtime.ownership.record import FileOwner
from pybuild.runtime.supervisor.caller import Caller, signed
from pybuild.runtime.supervisor.listener import Listener, Notification, StaleCallError
from tests.runtime.supervisor.supervised import supervised


@pytest.mark.parametrize(("argument", "number"), [(3, 3), (0xFFFFFF9C, -100), (2**64 - 100, -100), (1 << 32, 0)])
def test_the_low_half_of_an_argument_is_an_int(argument: int, number: int) -> None:
    assert signed(argument) == number


def test_a_path_at_the_end_of_memory_is_read(tmp_path: Path) -> None:
    record.write(str(tmp_path), FileOwner(7, 7))

    def ask() -> int:
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mmap.restype = ctypes.c_void_p
        start = libc.mmap(None, ctypes.c_size_t(2 * mmap.PAGESIZE), 3, 0x22, -1, 0)
        libc.munmap(ctypes.c_void_p(start + mmap.PAGESIZE), ctypes.c_size_t(mmap.PAGESIZE))
        path = os.fsencode(tmp_path) + b"\0"
        place = start + mmap.PAGESIZE - len(path)
        ctypes.memmove(place, path, len(path))
        if libc.chown(ctypes.c_void_p(place), 8, 8):
            return ctypes.get_errno()
        # Without an end it goes on where nothing can be read.
        ctypes.memmove(start + mmap.PAGESIZE - 1, b"x", 1)
        libc.chown(ctypes.c_void_p(place), 9, 9)
        return ctypes.get_errno()

    assert supervised(ask) == 14
    assert record.read(str(tmp_path)) == FileOwner(8, 8)


@pytest.mark.parametrize("address", [0, 8, -1, 1 << 47, 1 << 63])
def test_an_address_that_is_none_is_refused_by_the_call_alone(address: int) -> None:
    def ask() -> tuple[int, int]:
        libc = ctypes.CDLL(None, use_errno=True)
        libc.chown(ctypes.c_void_p(address), 1, 1)
        return ctypes.get_errno(), os.getuid()

    assert supervised(ask) == (14, 0)


def test_a_path_may_be_long_and_too_long(tmp_path: Path) -> None:
    def ask() -> list[int | None]:
        os.chdir(tmp_path)
        found = []
        for length in (4000, 4096):
            try:
                os.chown("./" * (length // 2) + "." * (length % 2), 5, 5)
                found.append(None)
            except OSError as error:
                found.append(error.errno)
        return found

    assert supervised(ask) == [None, 36]


def test_memory_is_read_where_the_call_for_it_is_not_permitted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: int) -> bytes:
        raise PermissionError(1, "refused")

    monkeypatch.setattr(MemoryReader, "read", refuse)
    supervised(lambda: os.chown(tmp_path, 5, 6))
    assert record.read(str(tmp_path)) == FileOwner(5, 6)


def test_the_mask_of_modes_is_that_of_the_caller(tmp_path: Path) -> None:
    def make() -> list[int]:
        os.setuid(5)
        modes = []
        for mask in (0, 0o077, 0o777):
            os.umask(mask)
            (tmp_path / str(mask)).mkdir()
            modes.append((tmp_path / str(mask)).stat().st_mode & 0o7777)
        return modes

    assert supervised(make) == [0o777, 0o700, 0]


def test_no_descriptor_of_another_process_is_kept() -> None:
    """The call is over, so that its number may have been given to any process: here, to this one."""
    end, other = os.pipe()
    before = os.listdir("/proc/self/fd")
    over = Caller(Listener(end), Notification(1, os.getpid(), 0, ()))
    with pytest.raises(StaleCallError):
        over.copy(other)
    assert os.listdir("/proc/self/fd") == before
    for fd in (end, other):
        os.close(fd)
