"""Which files of a directory are opened while a block runs, by inotify."""

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_IN_OPEN = 0x20
_IN_ISDIR = 0x40000000
_IN_Q_OVERFLOW = 0x4000
_EVENT = struct.Struct("iIII")


@contextmanager
def opened_files(directory: Path) -> Iterator[set[str]]:
    """A set that holds, after the block, the files below *directory* (not directories) that anybody opened in it."""
    libc = ctypes.CDLL(None, use_errno=True)
    watcher = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    assert watcher >= 0, os.strerror(ctypes.get_errno())
    opened: set[str] = set()
    try:
        directories = {}
        for place, _, _ in os.walk(directory):
            number = libc.inotify_add_watch(watcher, os.fsencode(place), _IN_OPEN)
            assert number >= 0, os.strerror(ctypes.get_errno())
            directories[number] = place
        yield opened
        opened.update(os.path.relpath(path, directory) for path in _events(watcher, directories))
    finally:
        os.close(watcher)


def _events(watcher: int, directories: dict[int, str]) -> Iterator[str]:
    while data := _read(watcher):
        offset = 0
        while offset < len(data):
            number, mask, _, length = _EVENT.unpack_from(data, offset)
            assert not mask & _IN_Q_OVERFLOW, "more events than the kernel keeps"
            name = data[offset + _EVENT.size : offset + _EVENT.size + length].rstrip(b"\0")
            offset += _EVENT.size + length
            if name and not mask & _IN_ISDIR:
                yield os.path.join(directories[number], os.fsdecode(name))


def _read(watcher: int) -> bytes:
    try:
        return os.read(watcher, 1 << 16)
    except BlockingIOError:
        return b""
