"""The mark of a snapshot that is a whole copy. It is apart from `copying`, so that asking for it loads nothing else."""

from pathlib import Path

COPIED = "copied"
"""The name of a file in the directory of the snapshot. Its change time is before every change to the copy."""


def is_copy(directory: Path) -> bool:
    """Return whether the lasting snapshot in *directory* is a whole copy, and not an overlay."""
    return (directory / COPIED).exists()
