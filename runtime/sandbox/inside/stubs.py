"""Stubs: the mount points that a root lacks, made for one run and removed again, without following any symlink.

An overlay gets them from an additional lowest layer (`Stubs.plant`). Those that such a layer cannot provide, and all
those of a plain directory, are made in the root itself (`Stubs.open`, `Stubs.make`) and removed after the run. Those in
another mount, such as a cache, stay: another step may have a mount on the same one, which the kernel would take away.
"""

import os
from errno import EBUSY, EEXIST, EISDIR, ELOOP, ENOENT, ENOTDIR, ENOTEMPTY, EXDEV
from stat import S_IFMT, S_ISDIR, S_ISLNK
from time import time_ns

from pybuild.runtime.kernel.syscalls import (
    MAX_LINKS,
    RESOLVE_BENEATH,
    RESOLVE_NO_MAGICLINKS,
    RESOLVE_NO_SYMLINKS,
    openat2,
    statx,
)
from pybuild.runtime.paths.in_root import make_directory, open_inside, undo_umask
from pybuild.runtime.records import Operation

_NO_STUB_ANY_MORE = (ENOENT, ENOTDIR, EISDIR, ENOTEMPTY, EEXIST, EBUSY, ELOOP, EXDEV)
"""Why a stub cannot be removed when the process has removed, replaced or used it."""
_STATX_MNT_ID, _MOUNT = 0x1000, slice(144, 152)  # stx_mnt_id of struct statx
_STRICT = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS


class Stub:
    """A mount point that was made for this run. It is identified by its directory (a descriptor), name and inode."""

    __slots__ = ("before", "found", "name", "parent", "stays")

    def __init__(self, parent: int, name: bytes, before: os.stat_result, *, stays: bool) -> None:
        self.parent, self.name, self.before, self.stays = parent, name, before, stays
        self.found = (self._look(), os.fstat(parent).st_mtime_ns)

    def _look(self) -> tuple[int, int, int]:
        status = os.stat(self.name, dir_fd=self.parent, follow_symlinks=False)
        return status.st_dev, status.st_ino, S_IFMT(status.st_mode)

    def remove(self) -> None:
        """Remove the stub if it is still the same empty file or directory, and restore the times of its directory."""
        inode, mtime = self.found
        now = os.fstat(self.parent)
        try:
            if self.stays or self._look() != inode:
                return
            if S_ISDIR(inode[2]):
                os.rmdir(self.name, dir_fd=self.parent)
            elif os.stat(self.name, dir_fd=self.parent, follow_symlinks=False).st_size == 0:
                os.unlink(self.name, dir_fd=self.parent)
        except OSError as error:
            _check_expected(error, self.name)
            return
        # Only if nothing else has changed the directory since: a change by the process keeps its own time.
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
        """Make each of the (path, is a directory) *targets* in *layer*, which will be the lowest layer of an overlay.

        *layer* is an empty directory that nobody else can reach. *upper* is the path of the overlay's upper directory,
        b"" if it has none. Targets that contradict each other, one being a file and another below it, are left to
        `open`, which reports them.
        """
        for path, is_directory in targets:
            try:
                _plant_one(layer, path, is_directory)
            except (NotADirectoryError, IsADirectoryError):
                continue
        # Without an upper directory nothing can be copied up, so nothing has to be removed later.
        self._upper = upper
        self._planted = _directories_in(layer, targets) if upper else []

    def note_visible(self, root: int) -> None:
        """Remember which planted directories are visible in the overlay *root*; the image has the others itself."""
        self._planted = [(path, status) for path, status in self._planted if _is_visible(root, path, status)]

    def open(self, root: int, path: bytes, *, directory: bool, links: int = MAX_LINKS) -> int:
        """Return an O_PATH descriptor of the mount point *path* in *root*; a missing one is made, with its parents.

        Raises OSError ENOTDIR or EISDIR when there is a file instead of a *directory*, or the reverse.
        """
        try:
            fd = open_inside(root, path)
        except FileNotFoundError:
            return self._make(root, path, directory, links)
        if S_ISDIR(os.fstat(fd).st_mode) != directory:
            os.close(fd)
            number = ENOTDIR if directory else EISDIR
            raise OSError(number, os.strerror(number), path)
        return fd

    def has_made(self, fd: int) -> bool:
        """Return whether the directory *fd* is a stub, so that the image does not have it."""
        status = os.fstat(fd)
        made = any(stub.found[0][:2] == (status.st_dev, status.st_ino) for stub in self._made)
        return made or any(_attributes(planted) == _attributes(status) for _, planted in self._planted)

    def make(self, parent: int, name: bytes, *, directory: bool, stays: bool = False) -> int:
        """Make the mount point *name* in the directory *parent* and return an O_PATH descriptor of it.

        `remove` leaves one that *stays*. Raises FileExistsError when anything is there, even a dangling symlink.
        """
        if name in {b"", b".", b".."}:
            raise OSError(ENOENT, os.strerror(ENOENT), name)
        before, mode = os.fstat(parent), 0o755 if directory else 0o644
        if directory:
            os.mkdir(name, mode, dir_fd=parent)
        else:
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode, dir_fd=parent))
        self._made.append(Stub(os.dup(parent), name, before, stays=stays))
        made = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=parent)
        undo_umask(made, mode)
        return made

    def _make(self, root: int, path: bytes, directory: bool, links: int) -> int:
        above, _, name = path.rstrip(b"/").rpartition(b"/")
        try:
            parent = open_inside(root, above or b"/", os.O_PATH | os.O_DIRECTORY)
        except FileNotFoundError:
            parent = self._make(root, above, True, links)
        try:
            return self.make(parent, name, directory=directory, stays=_mount_of(parent) != _mount_of(root))
        except FileExistsError:
            if links == 0:
                raise OSError(ELOOP, os.strerror(ELOOP), path) from None
            if not S_ISLNK(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):  # another step just made it
                return self.open(root, path, directory=directory, links=links - 1)
            # It could neither be opened nor made, so it is a symlink whose target is missing. The target is made, as
            # by runc, because images have symlinks such as /etc/resolv.conf -> /run/resolv.conf.
            target = os.readlink(name, dir_fd=parent)
            return self._make(root, target if target[:1] == b"/" else above + b"/" + target, directory, links - 1)
        finally:
            os.close(parent)

    def remove(self) -> None:
        """Remove all stubs, the last one first. To be called outside the mount namespace that has mounts on them."""
        while self._made:
            stub = self._made.pop()
            stub.remove()
            stub.close()
        if self._planted:
            upper = os.open(self._upper, os.O_PATH | os.O_DIRECTORY)
            for path, _ in self._planted:
                _remove_copy(upper, path)
            os.close(upper)


def _mount_of(fd: int) -> bytes:
    return statx(fd, 0, _STATX_MNT_ID)[_MOUNT]


def _is_visible(root: int, path: bytes, planted: os.stat_result) -> bool:
    try:
        found = openat2(root, path, os.O_PATH | os.O_DIRECTORY, 0, _STRICT)
    except OSError:  # ENOTDIR, ELOOP: on the way the image has a file or a symlink instead
        return False
    status = os.fstat(found)
    os.close(found)
    return _attributes(status) == _attributes(planted)


def _remove_copy(upper: int, path: bytes) -> None:
    """Remove the directory *path*, which the image does not have, from *upper* if overlayfs has copied it up, empty.

    A planted directory is copied up when `Stubs.open` or the process makes something in it, or when the process changes
    its owner, mode or times. As in BuildKit, a directory made for a mount stays in the layer only if it is not empty.
    """
    above, _, name = path.rpartition(b"/")
    try:
        parent = openat2(upper, above or b".", os.O_PATH | os.O_DIRECTORY, 0, _STRICT)
    except OSError as error:
        _check_expected(error, path)
        return
    try:
        before = os.fstat(parent)
        os.rmdir(name, dir_fd=parent)
        _set_times(parent, before)
    except OSError as error:
        _check_expected(error, path)
    finally:
        os.close(parent)


def _check_expected(error: OSError, path: bytes) -> None:
    """Raise for an *error* that leaves a stub behind, such as EIO: the layer, and every cache of it, would have it."""
    if error.errno not in _NO_STUB_ANY_MORE:
        raise Operation("remove the mount point", path).failed(error.errno or 0, error.strerror or "") from error


def _attributes(status: os.stat_result) -> tuple[int, ...]:
    return status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns


def _set_times(directory: int, times: os.stat_result) -> None:
    os.utime(".", ns=(times.st_atime_ns, times.st_mtime_ns), dir_fd=directory)


def _directories_in(layer: int, targets: tuple[tuple[bytes, bool], ...]) -> list[tuple[bytes, os.stat_result]]:
    """Return the planted directories, inner ones first, after setting their times to this nanosecond.

    Modification times identify them later. Those that the kernel sets advance in ticks of milliseconds, so one of them
    might be that of a directory of the image, too.
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
        except (FileNotFoundError, NotADirectoryError):  # a target that contradicts another one: see `plant`
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
