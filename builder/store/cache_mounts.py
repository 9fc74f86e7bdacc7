"""The cache mounts of a store: directories below ``cache-mounts/``, each with a file beside it that has its name.

<hash of the name>/         its content
<hash of the name>.name     its name; the time of this file is that of the last use
new-*, old-*                being filled, or being removed; leftovers when the store has no other user
"""

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pybuild.builder.errors import Cancelled
from pybuild.builder.store.store import Store
from pybuild.runtime.paths.filelock import remove_tree
from pybuild.runtime.values import frozen

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NAME = ".name"


@frozen
class StoredMount:
    """A cache mount; *name* is that of `builder.execute.cache_mounts`, *used* the time of its last use."""

    name: str
    folder: Path
    used: float


def mount_folder(name: str, store: Store) -> Path:
    """Return the directory of a cache mount. The name is hashed, because an id is not a path."""
    return store.root / "cache-mounts" / hashlib.sha256(name.encode()).hexdigest()


def note_use(name: str, store: Store) -> None:
    """Record that a cache mount is used now, and its name."""
    path = mount_folder(name, store).with_suffix(_NAME)
    if path.exists():
        os.utime(path)
    else:
        path.write_bytes(name.encode())


def cache_mounts(store: Store) -> Iterator[StoredMount]:
    """Yield the cache mounts of the store; one without a known name has its hash as name."""
    for folder in sorted((store.root / "cache-mounts").iterdir()):
        if folder.suffix == _NAME or folder.name.startswith(("new-", "old-")):
            continue
        path = folder.with_suffix(_NAME)
        named = path.exists()
        name = path.read_bytes().decode(errors="replace") if named else folder.name
        yield StoredMount(name=name, folder=folder, used=(path if named else folder).stat().st_mtime)


def in_use(mount: StoredMount, store: Store) -> bool:
    """Return whether a step of any builder uses a cache mount right now."""
    try:
        with store.locks.exclusive(f"use {mount.name}", lambda: True):
            return False
    except Cancelled:
        return True


@contextmanager
def unused(mount: StoredMount, store: Store) -> Iterator[None]:
    """Lock steps out of a cache mount. Raises Cancelled when one uses it, or is about to."""
    with (
        store.locks.exclusive(f"make {mount.name}", lambda: True),
        store.locks.exclusive(f"use {mount.name}", lambda: True),
    ):
        yield


def remove(mount: StoredMount) -> None:
    """Remove a cache mount atomically. The caller holds it `unused`."""
    aside = mount.folder.with_name(f"old-{mount.folder.name}-{secrets.token_hex(8)}")
    mount.folder.rename(aside)
    with suppress(FileNotFoundError):
        mount.folder.with_suffix(_NAME).unlink()
    _remove_tree(aside)


def sweep(store: Store) -> None:
    """Remove leftovers of builders that were killed. The caller has exclusive access."""
    for path in (store.root / "cache-mounts").iterdir():
        orphaned = path.suffix == _NAME and not path.with_suffix("").exists()
        if orphaned or path.name.startswith(("new-", "old-")):
            _remove_tree(path)


def _remove_tree(path: Path) -> None:
    folders = os.open(path.parent, _FOLDER)
    try:
        remove_tree(folders, path.name)
    finally:
        os.close(folders)
