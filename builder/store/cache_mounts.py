"""The cache mounts of a store: directories below ``cache-mounts/``, each with a file beside it that has its name.

<hash of the name>/         its content
<hash of the name>.name     its name; the time of this file is that of the last use
<hash of the name>.map      the id map under which its files have their owners
new-*, old-*                being filled, or being removed; leftovers when the store has no other user
"""

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pybuild.builder.errors import StoreError
from pybuild.builder.store.store import Store
from pybuild.runtime.paths.filelock import remove_tree
from pybuild.runtime.snapshots.id_map import id_map, is_host_map
from pybuild.runtime.values import frozen

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_NAME, _MAP = ".name", ".map"


@frozen
class StoredMount:
    """A cache mount; *name* is that of `builder.execute.cache_mounts`, *used* the time of its last use."""

    name: str
    directory: Path
    used: float


def mount_directory(name: str, store: Store) -> Path:
    """Return the directory of a cache mount. The name is hashed, because an id is not a path."""
    return store.root / "cache-mounts" / hashlib.sha256(name.encode()).hexdigest()


def note_use(name: str, store: Store) -> None:
    """Record that a cache mount is used now, and its name."""
    path = mount_directory(name, store).with_suffix(_NAME)
    if _read(path):
        os.utime(path)
    else:
        _write(path, name)


def check_map(name: str, store: Store) -> None:
    """Check that a cache mount was made under the id map of this process, so that steps see its owners.

    Raises:
        StoreError: it was made under another id map. It is kept, because it holds the work of many builds.
    """
    path, ours = mount_directory(name, store).with_suffix(_MAP), id_map()
    theirs = _read(path)
    if not theirs:
        _write(path, ours)
    elif theirs != ours:
        maker = "root" if is_host_map(theirs) else f"whoever has the ids {theirs}"
        raise StoreError(
            f"the {name} belongs to builds by {maker}, and ids mean something else here",
            hint="build as before, or set it apart from that one with another id=NAME",
        )


def _read(path: Path) -> str:
    """Return the content of a file; "" when there is none. It is empty after a loss of power, if it was not flushed."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def _write(path: Path, text: str) -> None:
    """Write a file that is complete, also after a loss of power. Several builders may write the same one."""
    new = path.with_name(f"new-{secrets.token_hex(8)}")
    with open(os.open(new, _NEW, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)


def cache_mounts(store: Store) -> Iterator[StoredMount]:
    """Yield the cache mounts of the store; one without a known name has its hash as name."""
    for directory in sorted((store.root / "cache-mounts").iterdir()):
        if directory.suffix or directory.name.startswith(("new-", "old-")):
            continue
        path = directory.with_suffix(_NAME)
        name = _read(path)
        used = (path if name else directory).stat().st_mtime
        yield StoredMount(name=name or directory.name, directory=directory, used=used)


def in_use(mount: StoredMount, store: Store) -> bool:
    """Return whether a step of any builder uses a cache mount right now."""
    return store.locks.is_held(f"use {mount.name}")


@contextmanager
def unused(mount: StoredMount, store: Store) -> Iterator[None]:
    """Lock steps out of a cache mount. Raises Cancelled when one uses it, or is about to."""
    with (
        # In the order of a step, which takes the second lock while it holds the first (`execute.cache_mounts`).
        store.locks.exclusive(f"make {mount.name}", lambda: True),
        store.locks.exclusive(f"use {mount.name}", lambda: True),
    ):
        yield


def remove(mount: StoredMount) -> None:
    """Remove a cache mount atomically. The caller holds it `unused`."""
    aside = mount.directory.with_name(f"old-{mount.directory.name}-{secrets.token_hex(8)}")
    # First: a name without a directory is swept, but a directory without a name would be listed by its hash.
    mount.directory.rename(aside)
    for suffix in (_NAME, _MAP):
        mount.directory.with_suffix(suffix).unlink(missing_ok=True)
    _remove_tree(aside)


def sweep(store: Store) -> None:
    """Remove leftovers of builders that were killed. The caller has exclusive access."""
    for path in (store.root / "cache-mounts").iterdir():
        orphaned = path.suffix and not path.with_suffix("").exists()
        if orphaned or path.name.startswith(("new-", "old-")):
            _remove_tree(path)


def _remove_tree(path: Path) -> None:
    directories = os.open(path.parent, _DIRECTORY)
    try:
        remove_tree(directories, path.name)
    finally:
        os.close(directories)
