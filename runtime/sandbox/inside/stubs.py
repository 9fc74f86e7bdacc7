"""Mount points: found or made inside a root by descriptor, and taken away again without following a single symlink.

The root of an overlay gets them from a lowest layer of their own (`Stubs.plant`). What that cannot provide, and every
mount point of a plain directory, is made in the root itself (`Stubs.open`, `Stubs.make`) and removed after the run.
"""

import os
from errno import EBUSY, EEXIST, EISDIR, ELOOP, ENOENT, ENOTDIR, ENOTEMPTY, EXDEV
from stat import S_IFMT, S_ISDIR
from time import time_ns

from pybuild.runtime.kernel.syscalls import (
    MAX_LINKS,
    RESOLVE_BENEATH,
    RESOLVE_NO_MAGICLINKS,
    RESOLVE_NO_SYMLINKS,
    openat2,
)
from pybuild.runtime.paths.inside import open_inside
from pybuild.runtime.wire import Operation

_TAKEN = (ENOENT, ENOTDIR, EISDIR, ENOTEMPTY, EEXIST, EBUSY, ELOOP, EXDEV)
_STRICT = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS


class Stub:
    """A mount point that was made for this run, remembered by its directory's descriptor, name and inode."""

    __slots__ = ("before", "found", "name", "parent")

    def __init__(self, parent: int, name: bytes, before: os.stat_result) -> None:
        self.parent, self.name, self.before = parent, name, before
        self.found = (self._look(), os.fstat(parent).st_mtime_ns)

    def _look(self) -> tuple[int, int, int]:
        status = os.stat(self.name, dir_fd=self.parent, follow_symlinks=False)
        return status.st_dev, status.st_ino, S_IFMT(status.st_mode)

    def remove(self) -> None:
        """Remove the stub if it is still the same empty file or directory; give its directory its earlier times."""
        inode, mtime = self.found
        now = os.fstat(self.parent)
        try:
            if self._look() != inode:
                return
            if S_ISDIR(inode[2]):
                os.rmdir(self.name, dir_fd=self.parent)
            elif os.stat(self.name, dir_fd=self.parent, follow_symlinks=False).st_size == 0:
                os.unlink(self.name, dir_fd=self.parent)
        except OSError as error:
            _check_taken(error, self.name)
            return
        # What the process changed itself in this directory keeps its own time.
        _set_times(self.parent, self.before if now.st_mtime_ns == mtime else now)

    def close(self) -> None:
        """Close the descriptor of its directory."""
        os.close(self.parent)


class Stubs:
    """The mount points that one run needs and that its root does not have."""

    __slots__ = ("_made", "_planted", "_upper")

    def __init__(self) -> None:
        self._made: list[Stub] = []
        self._planted: list[tuple[bytes, os.stat_result]] = []
        self._upper = b""

    def plant(self, layer: int, targets: tuple[tuple[bytes, bool], ...], upper: bytes) -> None:
        """Make each of the (path, is a directory) *targets* in *layer*, the lowest one of an overlay with this *upper*.

        The layer is an empty directory that nobody else can reach. Targets that exclude each other (one below another,
        which is a file) are left to `open`, which reports them. *upper* is empty for a root that has none.
        """
        for path, is_directory in targets:
            try:
                _plant_one(layer, path, is_directory)
            except (NotADirectoryError, IsADirectoryError):
                continue
        self._upper = upper
        self._planted = _directories_in(layer, targets) if upper else []

    def see(self, root: int) -> None:
        """Note which planted directories show in *root*, the overlay: all others are in the image as well, and stay."""
        self._planted = [(path, status) for path, status in self._planted if _shows(root, path, status)]

    def open(self, root: int, path: bytes, *, directory: bool) -> int:
        """Return an O_PATH descriptor of the mount point *path* in *root*, made with its parents if it is missing.

        Raises OSError when something of the other kind is there.
        """
        try:
            fd = open_inside(root, path)
        except FileNotFoundError:
            return self._make(root, path, directory, MAX_LINKS)
        if S_ISDIR(os.fstat(fd).st_mode) != directory:
            os.close(fd)
            number = ENOTDIR if directory else EISDIR
            raise OSError(number, os.strerror(number), path)
        return fd

    def has_made(self, fd: int) -> bool:
        """Return whether the directory *fd* is here for this run only."""
        status = os.fstat(fd)
        made = any(stub.found[0][:2] == (status.st_dev, status.st_ino) for stub in self._made)
        return made or any(_essence(planted) == _essence(status) for _, planted in self._planted)

    def make(self, parent: int, name: bytes, *, directory: bool) -> int:
        """Make the mount point *name* in the directory *parent* and return an O_PATH descriptor of it.

        Raises FileExistsError when anything is there, be it a dangling symlink.
        """
        if name in {b"", b".", b".."}:
            raise OSError(ENOENT, os.strerror(ENOENT), name)
        before = os.fstat(parent)
        if directory:
            os.mkdir(name, 0o755, dir_fd=parent)
        else:
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644, dir_fd=parent))
        self._made.append(Stub(os.dup(parent), name, before))
        return os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=parent)

    def _make(self, root: int, path: bytes, directory: bool, links: int) -> int:
        above, _, name = path.rstrip(b"/").rpartition(b"/")
        try:
            parent = open_inside(root, above or b"/", os.O_PATH | os.O_DIRECTORY)
        except FileNotFoundError:
            parent = self._make(root, above, True, links)
        try:
            return self.make(parent, name, directory=directory)
        except FileExistsError:
            # Opening failed and making as well: a symbolic link whose target is missing. The target is made, as runc
            # does it, because images point /etc/resolv.conf into /run.
            if links == 0:
                raise OSError(ELOOP, os.strerror(ELOOP), path) from None
            aim = os.readlink(name, dir_fd=parent)
            return self._make(root, aim if aim.startswith(b"/") else above + b"/" + aim, directory, links - 1)
        finally:
            os.close(parent)

    def remove(self) -> None:
        """Remove what was made, last first. Call this outside the mount namespace in which mounts lie on the stubs."""
        while self._made:
            stub = self._made.pop()
            stub.remove()
            stub.close()
        if self._planted:
            upper = os.open(self._upper, os.O_PATH | os.O_DIRECTORY)
            for path, _ in self._planted:
                _remove_copy(upper, path)
            os.close(upper)


def _shows(root: int, path: bytes, planted: os.stat_result) -> bool:
    try:
        found = openat2(root, path, os.O_PATH | os.O_DIRECTORY, 0, _STRICT)
    except OSError:  # the image has a symlink on the way, or a file
        return False
    status = os.fstat(found)
    os.close(found)
    return _essence(status) == _essence(planted)


def _remove_copy(upper: int, path: bytes) -> None:
    """Remove the directory *path*, which the image does not have, from *upper* if it is there and empty.

    That happens to the parent of a mount point when something is made in it, by `Stubs.open` or by the process, or when
    the process changes its owner, mode or time. As in BuildKit, what was made for a mount stays only if it is used.
    """
    above, _, name = path.rpartition(b"/")
    try:
        parent = openat2(upper, above or b".", os.O_PATH | os.O_DIRECTORY, 0, _STRICT)
    except OSError as error:
        _check_taken(error, path)
        return
    try:
        before = os.fstat(parent)
        os.rmdir(name, dir_fd=parent)
        _set_times(parent, before)
    except OSError as error:
        _check_taken(error, path)
    finally:
        os.close(parent)


def _check_taken(error: OSError, path: bytes) -> None:
    """Let pass that a stub is gone, or that the image uses it now: then it is none any more.

    A disk that fails does not let it stay: what is left would be in the layer, and in every cache after it.
    """
    if error.errno not in _TAKEN:
        raise Operation("remove the mount point", path).failed(error.errno or 0, error.strerror or "") from error


def _essence(status: os.stat_result) -> tuple[int, ...]:
    return status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns


def _set_times(directory: int, times: os.stat_result) -> None:
    os.utime(".", ns=(times.st_atime_ns, times.st_mtime_ns), dir_fd=directory)


def _directories_in(layer: int, targets: tuple[tuple[bytes, bool], ...]) -> list[tuple[bytes, os.stat_result]]:
    """Return the planted directories, inner ones first, with times of their own.

    The clock of the kernel goes in steps: a directory that the image got just now might have the same time.
    """
    now = time_ns()
    paths: set[bytes] = set()
    for target, _ in targets:
        names = target.strip(b"/").split(b"/")
        paths.update(b"/".join(names[:depth]) for depth in range(1, len(names) + 1))
    found = []
    for path in sorted(paths, reverse=True):
        try:
            status = os.stat(path, dir_fd=layer)
        except (FileNotFoundError, NotADirectoryError):  # a contradiction, left out
            continue
        if S_ISDIR(status.st_mode):
            os.utime(path, ns=(now, now), dir_fd=layer)
            found.append((path, os.stat(path, dir_fd=layer)))
    return found


def _plant_one(directory: int, path: bytes, is_directory: bool) -> None:
    *parents, name = path.strip(b"/").split(b"/")
    current = os.open(".", os.O_PATH | os.O_DIRECTORY, dir_fd=directory)
    try:
        for parent in (*parents, name) if is_directory else parents:
            below = make_directory(current, parent)
            os.close(current)
            current = below
        if not is_directory:
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=current))
    finally:
        os.close(current)


def make_directory(parent: int, name: str | bytes) -> int:
    """Return a descriptor of the directory *name* in *parent*, made when it is missing."""
    try:
        os.mkdir(name, 0o755, dir_fd=parent)
    except FileExistsError:  # contextlib would cost the child a millisecond
        return os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    return os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
