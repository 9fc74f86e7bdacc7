"""Small disks of their own for stores: full ones, read-only ones, and file systems that lack something."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_BLOCK = 4096


@contextmanager
def small_disk(folder: Path, size: str = "8m", *, inodes: int = 0) -> Iterator[Path]:
    """Mount a tmpfs of *size* on *folder*, which is made; gone afterwards."""
    folder.mkdir()
    options = f"size={size},nr_inodes={inodes}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "pybuild-test", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path) -> None:
    """Take every byte that is free."""
    with (folder / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(_BLOCK))
    assert os.statvfs(folder).f_bavail == 0


def fill_inodes(folder: Path) -> None:
    """Take every inode that is free."""
    with suppress(OSError):
        for number in range(100_000):
            (folder / f"filler-{number}").touch()
    assert os.statvfs(folder).f_favail == 0


def clear(folder: Path) -> None:
    """Give back what `fill` and `fill_inodes` took."""
    for path in folder.glob("filler*"):
        path.unlink()


def make_read_only(folder: Path) -> None:
    """Mount the disk read-only from now on."""
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
