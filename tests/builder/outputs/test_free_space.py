import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybuild.builder.outputs.files import replaced, sink
from pybuild.builder.outputs.local import write_directory
from pybuild.builder.outputs.tree import OutputTree
from tests.helpers.hosts import need_root

MIB = 1 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MiB."""
    need_root()
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", place], check=True)
    yield place
    subprocess.run(["umount", place], check=True)


def free(place: Path) -> int:
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize


def test_an_archive_leaves_the_last_of_the_disk_free(small_disk: Path) -> None:
    lowest = free(small_disk)

    def fill() -> None:
        nonlocal lowest
        with replaced(small_disk / "a.tar") as file:
            put = sink(file)
            for _ in range(64):
                put(b"x" * MIB)
                file.flush()
                lowest = min(lowest, free(small_disk))

    with pytest.raises(OSError) as caught:
        fill()

    assert caught.value.errno == errno.ENOSPC
    assert lowest >= 15 * MIB
    assert list(small_disk.iterdir()) == []


def test_a_directory_leaves_the_last_of_the_disk_free(small_disk: Path, tmp_path: Path) -> None:
    (tmp_path / "image").mkdir()
    for number in range(64):
        (tmp_path / "image" / f"{number}").write_bytes(b"x" * MIB)
    (small_disk / "out").mkdir()
    fd = os.open(tmp_path / "image", os.O_PATH)
    try:
        with pytest.raises(OSError) as caught:
            write_directory([OutputTree(directory="", platform="", fd=fd)], small_disk / "out")
    finally:
        os.close(fd)

    assert caught.value.errno == errno.ENOSPC
    assert free(small_disk) >= 15 * MIB


def test_a_pipe_has_no_end() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as there, os.fdopen(writing, "wb") as here:
        sink(here)(b"abc")
        here.flush()
        assert there.read(3) == b"abc"
