"""What trees take on the disk."""

from pathlib import Path

from pybuild.builder.outputs.tree import directories
from pybuild.runtime.paths.safepath import Root


def disk_usage(path: Path) -> int:
    """Return the disk usage of a tree, which counts a file with several names once."""
    total = 0
    seen: set[tuple[int, int]] = set()
    with Root.open_host(path) as root:
        for directory in directories(root.fd):
            for entry in directory.entries:
                identity = (entry.stat.st_dev, entry.stat.st_ino)
                if entry.stat.st_nlink == 1 or identity not in seen:
                    seen.add(identity)
                    # The unit of st_blocks is 512 bytes, whatever the block size of the file system is (stat(2)).
                    total += entry.stat.st_blocks * 512
    return total
