"""Files with holes, and the same files without."""

import os
from pathlib import Path

MIB = 1 << 20


def sparse_file(path: Path, size: int, *data: tuple[int, bytes]) -> Path:
    """Make a file of *size* bytes that has only *data*, at its offsets, on the disk."""
    with path.open("wb") as file:
        file.truncate(size)
        for offset, content in data:
            os.pwrite(file.fileno(), content, offset)
    return path


def on_disk(path: Path) -> int:
    """How many bytes of the disk a file takes."""
    return path.stat().st_blocks * 512
