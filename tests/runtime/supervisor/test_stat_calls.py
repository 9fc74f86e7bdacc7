import ctypes
import os
import stat
import struct
from pathlib import Path

import pytest

from pybuild.runtime.kernel.syscalls import statx
from pybuild.runtime.ownership import record
from pybuild.runtime.ownership.record import FileOwner
from pybuild.runtime.supervisor.stat_calls import stat_of
from tests.runtime.supervisor.supervised import supervised

_KEPT = (
    "st_ino",
    "st_dev",
    "st_nlink",
    "st_size",
    "st_blksize",
    "st_blocks",
    "st_atime_ns",
    "st_mtime_ns",
    "st_ctime_ns",
)


def test_all_but_the_owner_is_what_the_kernel_tells(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("content")
    os.utime(file, ns=(10**18 + 1, -5))
    record.write(str(file), FileOwner(12, 13))
    before = file.stat()
    told = supervised(lambda: [os.stat(file), os.lstat(file), os.fstat(os.open(file, os.O_RDONLY))])
    for found in told:
        assert [getattr(found, name) for name in _KEPT] == [getattr(before, name) for name in _KEPT]
        assert (found.st_uid, found.st_gid, found.st_mode) == (12, 13, before.st_mode)


def test_a_device_is_shown_as_one(tmp_path: Path) -> None:
    file = tmp_path / "null"
    file.touch(0o640)
    record.write(str(file), FileOwner(0, 6, stat.S_IFCHR, os.makedev(1, 3)))
    found = supervised(lambda: os.stat(file))
    assert (found.st_mode, found.st_rdev, found.st_gid) == (stat.S_IFCHR | 0o640, os.makedev(1, 3), 6)


def test_statx_tells_the_same(tmp_path: Path) -> None:
    record.write(str(tmp_path), FileOwner(70000, 13))

    def ask() -> bytes:
        return statx(os.open(tmp_path, os.O_PATH), 0, 0x7FF)

    told = supervised(ask)
    assert struct.unpack_from("=II", told, 20) == (70000, 13)
    assert told[32:64] == ask()[32:64]


def test_a_status_for_memory_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    record.write(str(tmp_path), FileOwner(1, 1))

    def ask() -> int:
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.stat(os.fsencode(tmp_path), ctypes.c_void_p(8)) == -1
        return ctypes.get_errno()

    assert supervised(ask) == 14


@pytest.mark.parametrize(("machine", "size"), [("x86_64", 144), ("aarch64", 128)])
def test_the_structure_has_the_size_that_the_kernel_gives_it(tmp_path: Path, machine: str, size: int) -> None:
    fd = os.open(tmp_path, os.O_PATH)
    try:
        assert len(stat_of(fd, FileOwner(1, 2), machine)) == size
    finally:
        os.close(fd)
