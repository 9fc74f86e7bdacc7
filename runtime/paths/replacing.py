"""Files that are replaced as a whole: who reads one finds the old content or the new one, also after a crash."""

import os
from pathlib import Path

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW


def replace_file(path: Path, text: str) -> None:
    """Let *text* be the content of *path*, for this user alone, and on the disk when this returns.

    The new file has the name with ``.new`` until it is whole, so of several writers the caller lets in one at a time.
    """
    new = path.with_name(f"{path.name}.new")
    with open(os.open(new, _FLAGS, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)
