"""Trees too deep for paths and for a descriptor per level."""

import os
from pathlib import Path


def go_down(top: Path, depth: int, *, make: bool) -> int:
    """Return a descriptor of the innermost of *depth* directories below *top*, which are made on the way if asked for."""
    current = os.open(top, os.O_PATH)
    for _ in range(depth):
        if make:
            os.mkdir("deep-folder", dir_fd=current)
        inner = os.open("deep-folder", os.O_PATH, dir_fd=current)
        os.close(current)
        current = inner
    return current
