"""Snapshots on disk: the part that both snapshotters share. See `runtime.snapshots.snapshotter` for the terms."""

import errno
import fcntl
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

from pybuild.runtime.errors import SnapshotError
from pybuild.runtime.paths.filelock import exclusive, make_locked_directory, remove_tree, sweep
from pybuild.runtime.snapshots.lent_mounts import take_back
from pybuild.runtime.snapshots.snapshotter import Active

_NAME = re.compile(r"sha(?:256|512):[0-9a-f]{64,128}")
_KEY = re.compile(r"tmp-[0-9a-f]{16}")
_PREFIX = "tmp-"


class SnapshotDirectory:
    """The directory of snapshots. The two snapshotters add how a tree is made, read and compared.

        lock                        held while a committed snapshot is removed or taken over
        empty/                      an empty tree
        sha256-<hex>/fs/            a committed snapshot: its tree, or the difference to its parent
                     parent boot    the name of its parent, and the boot in which it was committed
        tmp-<random>/fs/ parent     an active snapshot; its process holds a lock (flock) on the directory

    A committed directory appears by one rename, complete. Its data is not flushed, so one of an earlier boot may be
    incomplete: it counts as missing, and is removed when it is found. The directories have the mode 0700, so that no
    user of the host can run or read what an image holds; only ``fs`` has the mode of the image's root.
    """

    def __init__(self, directory: Path) -> None:
        """Use *directory*, which is made when it is missing, unless the file system is read-only."""
        try:
            _make_ready(directory)
        except OSError as error:
            if error.errno != errno.EROFS:
                raise
        self._directory = directory
        self._held: dict[str, int] = {}
        self._parents: dict[str, str] = {}
        self._swept = False
        self.claim: Callable[[str], None] = _nothing
        """Called with the name of each snapshot before it is looked for, so that it is not removed meanwhile."""

    def commit(self, active: Active, name: str) -> None:
        """See `Snapshotter.commit`."""
        final = self._place(name)
        path = self._active_path(active)
        self._seal(path)
        (path / "boot").write_text(boot_id(), encoding="ascii")
        while not _rename(path, final):  # the name is taken, but `_committed` removes one of an earlier boot
            if self._committed(name) is not None:
                self.discard(active)
                return
        os.close(self._held.pop(active.key))

    def discard(self, active: Active) -> None:
        """See `Snapshotter.discard`."""
        lock = self._held.pop(active.key, None)
        if lock is not None:
            take_back(self._directory / active.key)
            self._remove_held(self._directory / active.key, lock)

    def remove(self, name: str) -> None:
        """See `Snapshotter.remove`."""
        if not (retired := dict(self.retire([name]))):
            raise SnapshotError(f"snapshot {name} is the parent of another one")
        retired[name]()

    def retire(self, names: Iterable[str]) -> Iterator[tuple[str, Callable[[], None]]]:
        """See `Snapshotter.retire`."""
        paths = {name: self._place(name) for name in names}
        self._sweep_once()
        parents = {entry: self._parent(self._directory / entry) for entry in os.listdir(self._directory)}
        children = Counter(parents.values())  # read once for all, because a store may have thousands
        free = [name for name in paths if not children[name]]
        while free:
            path = paths[name := free.pop()]
            yield name, self._retire(path)
            parent = parents.get(path.name)
            children[parent] -= 1
            if parent in paths and not children[parent]:
                free.append(parent)

    def begin_use(self, claim: Callable[[str], None]) -> None:
        """See `Snapshotter.begin_use`. What an earlier user found is claimed anew."""
        self.claim = claim

    def names(self) -> tuple[str, ...]:
        """See `Snapshotter.names`."""
        return tuple(sorted(name for name in self._names_on_disk() if self._is_current(self._place(name))))

    def sweep(self) -> None:
        """See `Snapshotter.sweep`."""
        self._sweep()
        for name in self._names_on_disk():
            self._committed(name)

    def _begin(self, parent: str | None) -> Path:
        """Make the directory of a new active snapshot with an empty ``fs``; its lock is held from here on."""
        self._sweep_once()
        path, lock = make_locked_directory(self._directory, _PREFIX)
        self._held[path.name] = lock
        (path / "parent").write_text(parent or "", encoding="ascii")
        make_root_directory(path)
        return path

    def _sweep_once(self) -> None:
        """Remove what killed builders left, before the first change here. Processes that only read save the time."""
        if not self._swept:
            self._swept = True
            self._sweep()

    def _sweep(self) -> None:
        sweep(self._directory, _PREFIX, before=take_back)

    def _seal(self, path: Path) -> None:
        """Remove from an active snapshot what its committed form does not have."""

    def _active_path(self, active: Active) -> Path:
        if not _KEY.fullmatch(active.key) or active.key not in self._held:
            raise SnapshotError(f"snapshot is not active here: {active.key!r}")
        return self._directory / active.key

    def _place(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise SnapshotError(f"not the name of a snapshot: {name!r}")
        self.claim(name)
        return self._directory / name.replace(":", "-")

    def _committed(self, name: str) -> Path | None:
        """Return the directory of a committed snapshot, None when there is none; one of an earlier boot is removed."""
        path = self._place(name)
        if self._is_current(path):
            return path
        if path.exists():
            try:
                self._retire(path, keep_current=True)()  # unless it is current by now
            except OSError as error:
                if error.errno != errno.EROFS:
                    raise
        return None

    def _parent(self, path: Path) -> str | None:
        """Return the parent of the snapshot in *path*. That of a committed one never changes and is read once."""
        parent = self._parents.get(path.name)
        if parent is None:
            parent = _read(path / "parent") or ""
            if not path.name.startswith(_PREFIX):
                self._parents[path.name] = parent
        return parent or None

    def _is_current(self, path: Path) -> bool:
        """Return whether the committed snapshot in *path* is of this boot and has all its parts."""
        return _read(path / "boot") == boot_id() and _read(path / "parent") is not None and (path / "fs").is_dir()

    def _names_on_disk(self) -> list[str]:
        try:
            names = [name.replace("-", ":") for name in os.listdir(self._directory)]
        except FileNotFoundError:  # it could not be made, on a read-only file system
            return []
        return [name for name in names if _NAME.fullmatch(name)]

    def _retire(self, path: Path, *, keep_current: bool = False) -> Callable[[], None]:
        """Rename a committed directory, so that it is none any more; return what removes it. Works on a full disk."""
        grave = self._directory / new_key()
        # Under the lock nobody else removes or replaces it, so what is renamed is what was looked at.
        with exclusive(self._directory / "lock"):
            if keep_current and self._is_current(path):
                return _nothing
            try:
                lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError:  # another process has removed it
                return _nothing
            try:
                # Locked like an active snapshot, so that no sweep removes it at the same time.
                fcntl.flock(lock, fcntl.LOCK_EX)
                path.rename(grave)
            except BaseException:
                os.close(lock)
                raise
        self._parents.pop(path.name, None)
        (grave / "parent").unlink(missing_ok=True)  # so that the parent may be removed as well
        return lambda: self._remove_held(grave, lock)

    def _remove_held(self, path: Path, lock: int) -> None:
        directory = os.open(self._directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            remove_tree(directory, path.name)
        finally:
            os.close(directory)
            os.close(lock)


def new_key() -> str:
    """Return the name of a directory that is not, or no longer, a committed snapshot."""
    return f"{_PREFIX}{os.urandom(8).hex()}"


def make_root_directory(path: Path) -> None:
    """Make the empty tree of a new snapshot in *path*, with the mode 0755 whatever the umask."""
    (path / "fs").mkdir()
    (path / "fs").chmod(0o755)


def _nothing(*_: object) -> None:
    """Do nothing."""


def _make_ready(directory: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if directory.stat().st_mode & 0o077:
        directory.chmod(0o700)
    if not (directory / "empty").exists():
        from pybuild.runtime.snapshots.ext4_spreading import spread

        spread(directory)
        (directory / "empty").mkdir(mode=0o755, exist_ok=True)
    if not (directory / "lock").exists():
        # Made now: when the disk is full, it is needed to remove something.
        (directory / "lock").touch(mode=0o600)


@cache
def boot_id() -> str:
    """Return the text by which the kernel identifies the time since the host was booted."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _rename(source: Path, target: Path) -> bool:
    """Rename a directory; False when the target is there already."""
    try:
        source.rename(target)
    except OSError as error:
        if error.errno in {errno.EEXIST, errno.ENOTEMPTY}:  # rename(2) replaces a directory only if that is empty
            return False
        raise
    return True


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
