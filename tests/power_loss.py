"""A disk that remembers each write and flush, so that it can be had as it would be after a loss of power.

QEMU's storage daemon offers an image as a file and logs what is written to it, in the format of the kernel's
dm-log-writes: a block with a header, then for each entry a block (sector, sectors, flags, length) and its data. What a
disk has after a loss of power is all that was written before the last flush, and of what was written later any part: a
disk reorders writes in its cache, and may end in the middle of one, between two sectors. Such a file system is checked
before it is mounted, as when a machine starts: ext4 refuses one whose superblock was written in part.
"""

import os
import random
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

DAEMON = "qemu-storage-daemon"
"""Of Debian's package qemu-system-common."""
_SIZE = 300 << 20
_BLOCK = 512
_MAGIC = 0x6A736677736872
_FLUSH, _FORCED, _DISCARD = 1, 2, 4
_TORN = 0.1
"""The share of writes after the last flush that end in the middle."""
_REPAIRED = 3
"""The exit codes of e2fsck up to this one tell of a file system that is whole, or is so now."""
_PATIENCE = 60


class _Write(NamedTuple):
    """One entry of the log: where it begins on the disk, its bytes and their place in the log."""

    start: int
    length: int
    flags: int
    data: int


class LoggedDisk:
    """A mounted ext4 file system on such a disk, at *mount*."""

    def __init__(self, directory: Path) -> None:
        self.mount = directory / "mount"
        self._log = directory / "log"
        self._state = directory / "state"

    def now(self) -> int:
        """Return a moment: `cut` takes moments between 0 and this."""
        return self._log.stat().st_size

    @contextmanager
    def cut(self, moment: int, draw: random.Random) -> Iterator[Path]:
        """Mount the disk as it might be when the power was lost at *moment*."""
        self._write_state(moment, draw)
        try:
            checked = subprocess.run(["e2fsck", "-fy", self._state], check=False, capture_output=True, text=True)
            assert checked.returncode <= _REPAIRED, checked.stdout
            with _mounted(self._state, self.mount):
                yield self.mount
        finally:
            self._state.unlink()

    def _write_state(self, moment: int, draw: random.Random) -> None:
        with self._log.open("rb") as log, self._state.open("wb") as state:
            state.truncate(_SIZE)
            entries = [entry for entry in _entries(log.fileno()) if entry.data + entry.length <= moment]
            flushed = max((at for at, entry in enumerate(entries) if entry.flags & _FLUSH), default=0)
            kept = draw.choice((0, 0.5, 0.9, 1))
            for at, entry in enumerate(entries):
                sure = at <= flushed or entry.flags & _FORCED
                if sure or draw.random() < kept:
                    data = _data(log.fileno(), entry)
                    torn = not sure and draw.random() < _TORN
                    os.pwrite(
                        state.fileno(), data[: draw.randrange(0, len(data) + 1, _BLOCK)] if torn else data, entry.start
                    )


def _entries(log: int) -> Iterator[_Write]:
    magic, _, count = struct.unpack("<QQQ", os.pread(log, 24, 0))
    assert magic == _MAGIC
    place = _BLOCK
    for _ in range(count):
        sector, sectors, flags, _ = struct.unpack("<QQQQ", os.pread(log, 32, place))
        entry = _Write(sector * _BLOCK, sectors * _BLOCK, flags, place + _BLOCK)
        yield entry
        place = entry.data + (0 if flags & _DISCARD else entry.length)


def _data(log: int, entry: _Write) -> bytes:
    return bytes(entry.length) if entry.flags & _DISCARD else os.pread(log, entry.length, entry.data)


@contextmanager
def logged_disk(directory: Path) -> Iterator[LoggedDisk]:
    """Make a disk with files in *directory*; when the block ends it is unmounted, and its log is complete."""
    disk = LoggedDisk(directory)
    image, shown = directory / "image", directory / "shown"
    for path in (image, shown, disk._log):
        path.touch()
    os.truncate(image, _SIZE)
    nodes = (
        f"driver=file,node-name=image,filename={image}",
        f"driver=file,node-name=log,filename={disk._log}",
        f"driver=blklogwrites,node-name=disk,file=image,log=log,log-sector-size={_BLOCK}",
    )
    words = [DAEMON, *(word for node in nodes for word in ("--blockdev", node))]
    export = f"type=fuse,id=shown,node-name=disk,mountpoint={shown},writable=on"
    with subprocess.Popen([*words, "--export", export]) as daemon:
        try:
            _wait_for(shown)
            subprocess.run(["mkfs.ext4", "-q", "-F", shown], check=True)
            with _mounted(shown, disk.mount):
                os.sync()
                yield disk
        finally:
            daemon.terminate()


def _wait_for(shown: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while shown.stat().st_size != _SIZE:
        assert time.monotonic() < deadline, f"{DAEMON} shows no disk"
        time.sleep(0.02)


@contextmanager
def _mounted(image: Path, directory: Path) -> Iterator[None]:
    directory.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", "loop", image, directory], check=True)
    try:
        yield
    finally:
        deadline = time.monotonic() + _PATIENCE
        # The last processes of a build may still have files there.
        while subprocess.run(["umount", directory], check=False, capture_output=True).returncode:
            assert time.monotonic() < deadline, f"{directory} stays busy"
            time.sleep(0.02)


def is_installed() -> bool:
    """Return whether this host has what such a disk needs."""
    return shutil.which(DAEMON) is not None
