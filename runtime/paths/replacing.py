"""Atomic replacement of files: a reader finds the old content or the new one, also after a crash."""

import os
from pathlib import Path

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW


def replace_file(path: Path, text: str) -> None:
    """Replace *path* by a file of mode 0600 with the content *text*, which is on the disk when this returns.

    The new file has the suffix ``.new`` until it is complete, so only one writer may be at work at a time.
    """
    new = path.with_name(f"{path.name}.new")
    with open(os.open(new, _FLAGS, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        # Before the rename, or a crash could leave the new name with a part of the content (fsync(2), rename(2)).
        os.fsync(file.fileno())
    new.rename(path)
