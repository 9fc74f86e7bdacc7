"""The mark of a snapshot that is a whole copy. It is apart from `copying`, so that asking for it loads nothing else."""

from pathlib import Path

COPIED = "copied"
"""A file beside a tree that is written to. It is older than all changes of the tree since that was the parent's."""


def is_copy(directory: Path) -> bool:
    """Return whether the lasting snapshot in *directory* is a whole copy, and not an overlay."""
    return (directory / COPIED).exists()
