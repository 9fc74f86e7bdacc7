"""Small disks of their own for stores: full ones, read-only ones, and file systems that lack something."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_BLOCK = 4096


@contextmanager
def small_disk(directory: Path, size: str = "8m", *, inodes: int = 0) -> Iterator[Path]:
    """Mount a tmpfs of *size* on *directory*, which is made; gone afterwards."""
    directory.mkdir()
    options = f"size={size},nr_inodes={inodes}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "pybuild-test", directory], check=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)


def fill(directory: Path) -> None:
    """Take every byte that is free."""
    with (directory / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(_BLOCK))
    assert os.statvfs(directory).f_bavail == 0


def fill_inodes(directory: Path) -> None:
    """Take every inode that is free."""
    with suppress(OSError):
        for number in range(100_000):
            (directory / f"filler-{number}").touch()
    assert os.statvfs(directory).f_favail == 0


def clear(directory: Path) -> None:
    """Give back what `fill` and `fill_inodes` took."""
    for path in directory.glob("filler*"):
        path.unlink()


def make_read_only(directory: Path) -> None:
    """Mount the disk read-only from now on."""
    subprocess.run(["mount", "-o", "remount,ro", directory], check=True)
