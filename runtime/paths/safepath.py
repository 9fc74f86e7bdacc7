"""Paths inside a root, which cannot lead out of it: everything is done by file descriptor, not by joined paths.

A *root* is a directory with untrusted content: an unpacked image, a build context. A path in it is resolved as for a
process with that root: an absolute symlink starts at the root, ``..`` stops at the root. The kernel does that (openat2
with RESOLVE_IN_ROOT); where it cannot, `runtime.paths.walk` does it component by component.

Measured, in microseconds: `Root.open` and `Root.stat` of a path 5, of a single name not followed 2, one entry of
`scan_directory` 2, `Root.real` 20. To walk a large tree, open each directory once and use `scan_directory` and the
functions of `os` that take a ``dir_fd``, without following symlinks: a single name cannot leave its directory.
"""

import errno
import os
import stat
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, Self

from pybuild.runtime.errors import UnsafePathError

_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_MISSING = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)  # the last: no file system holds such a name
_UNSAFE = (errno.ELOOP, errno.ENOTDIR, errno.EXDEV)
_OVERLAY_XATTRS = ("trusted.overlay.", "user.overlay.")


class DirectoryEntry(NamedTuple):
    """A name in a directory with its status, symlinks not followed."""

    name: str
    stat: os.stat_result


class Root:
    """A directory that no path can leave. It owns a descriptor of the directory.

    Paths are relative to the root whether or not they begin with a slash; "" is the root itself. Methods that look a
    path up return None for a missing one. A path that cannot be resolved (a loop, a file used as a directory) raises
    UnsafePathError. Nothing outside is created or followed.
    """

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd

    @classmethod
    def open_host(cls, path: Path) -> Self:
        """Open the directory at a *path* of the host, which is trusted and may contain symlinks."""
        return cls(os.open(path, _DIRECTORY))

    @classmethod
    def at(cls, fd: int) -> Self:
        """Make a root of the directory behind *fd*, which stays the caller's."""
        return cls(os.dup(fd))

    def close(self) -> None:
        """Close the descriptor. Idempotent."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self, path: str, flags: int = os.O_RDONLY) -> int:
        """Open what is at *path*, following symlinks inside the root; the caller closes the descriptor.

        Never waits on a FIFO and never gains a terminal. Opening a device node may still act on the device: use
        `open_file` where only a regular file will do. O_CREAT is refused; create with `parent` and ``dir_fd``.
        """
        if flags & os.O_CREAT:
            raise ValueError("Root.open creates nothing")
        flags |= 0 if flags & os.O_PATH else os.O_NOCTTY | os.O_NONBLOCK
        try:
            return _open_resolved(self.fd, path, flags | os.O_CLOEXEC)
        except OSError as error:
            raise _named(error, path) from error

    def open_file(self, path: str) -> int:
        """Open the regular file at *path* for reading; anything else is refused without being opened."""
        handle = self.open(path, os.O_PATH)
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise UnsafePathError(f"{path}: not a regular file")
            # By the descriptor, not by the path, so that nobody can put another file in its place.
            return os.open(f"/proc/self/fd/{handle}", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.close(handle)

    def stat(self, path: str, *, follow: bool = True) -> os.stat_result | None:
        """Return the status of what is at *path*, or None when there is nothing."""
        if not follow and "/" not in path and path not in {"", ".", ".."} and len(path) < 64:  # a fast path
            try:
                return os.stat(path, dir_fd=self.fd, follow_symlinks=False)
            except FileNotFoundError:
                return None
        handle = self._look_up(path, os.O_PATH if follow else os.O_PATH | os.O_NOFOLLOW)
        if handle is None:
            return None
        try:
            return os.fstat(handle)
        finally:
            os.close(handle)

    def exists(self, path: str) -> bool:
        """Return whether *path* leads to something; a dangling symlink does not."""
        return self.stat(path) is not None

    def readlink(self, path: str) -> str | None:
        """Return the text of the symlink at *path*; None when there is none or it is no symlink."""
        handle = self._look_up(path, os.O_PATH | os.O_NOFOLLOW)
        if handle is None:
            return None
        try:
            return os.readlink("", dir_fd=handle) if stat.S_ISLNK(os.fstat(handle).st_mode) else None
        finally:
            os.close(handle)

    def real(self, path: str) -> str:
        """Return *path* with all symlinks resolved, without leading slash. Components at its end may be missing."""
        own = self.stat(path, follow=False) if _is_name(path) and path not in {"", "."} else None
        if not path or (own is not None and not stat.S_ISLNK(own.st_mode)):
            return path
        from pybuild.runtime.paths.walk import Walk

        try:
            with closing(Walk(self.fd, missing_ok=True)) as walk:
                walk.run(path, follow=True)
                return "/".join(walk.names)
        except OSError as error:
            raise _named(error, path) from error

    def parent(self, path: str) -> tuple[int, str]:
        """Return an O_PATH descriptor of the directory that holds *path*, and the last name; the caller closes it.

        The last component is not followed and need not exist. For the root itself the name is "".
        """
        from pybuild.runtime.paths.walk import names_of

        names = names_of(path)
        if names and names[-1] == "..":
            names = names_of(self.real(path))
        if not names:
            return os.dup(self.fd), ""
        return self.open("/".join(names[:-1]), os.O_PATH | os.O_DIRECTORY), names[-1]

    def make_directories(self, path: str, mode: int = 0o755, uid: int = 0, gid: int = 0) -> list[str]:
        """Create the directory *path* and the missing ones above it; return those created, outermost first.

        Symlinks are followed inside the root, and the target of a dangling one is created: see `real`. *mode* is that
        of the new directories, whatever the umask. Existing ones are not changed, and it is no error if another process
        creates one at the same time.
        """
        created, names, current = [], list(filter(None, self.real(path).split("/"))), os.dup(self.fd)
        try:
            for depth, name in enumerate(names, 1):
                made, inner = _enter_or_make(current, name, (mode, uid, gid))
                os.close(current)
                current = inner
                if made:
                    created.append("/".join(names[:depth]))
        except OSError as error:
            raise _named(error, path) from error
        finally:
            os.close(current)
        return created

    def scan(self, path: str = "") -> list[DirectoryEntry]:
        """Return the entries of the directory at *path*, names in byte order."""
        directory = self.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            return scan_directory(directory)
        finally:
            os.close(directory)

    def read_file(self, path: str, limit: int) -> bytes | None:
        """Return the content of a regular file of at most *limit* bytes, None when it is missing.

        Anything else at *path* (a FIFO, a device, a longer file) raises UnsafePathError before a byte is read.
        """
        try:
            handle = self.open_file(path)
        except FileNotFoundError:
            return None
        with os.fdopen(handle, "rb") as file:
            # Files that are too long are not read. Files of /proc have the size 0, so the content is measured as well.
            content = file.read(limit + 1) if os.fstat(handle).st_size <= limit else None
        if content is None or len(content) > limit:
            raise UnsafePathError(f"{path}: longer than {limit} bytes")
        return content

    def xattrs(self, path: str) -> dict[str, bytes]:
        """Return the extended attributes of what is at *path*, the last symlink not followed; see `read_xattrs`."""
        handle = self.open(path, os.O_PATH | os.O_NOFOLLOW)
        try:
            return read_xattrs(f"/proc/self/fd/{handle}")
        finally:
            os.close(handle)

    def _look_up(self, path: str, flags: int) -> int | None:
        try:
            return _open_resolved(self.fd, path, flags | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in _MISSING:
                return None
            raise _named(error, path) from error


def _open_resolved(root: int, path: str, flags: int) -> int:
    """Open *path* inside *root*. A name that is no symlink, as most paths of a build, needs no import of `walk`."""
    name = path or "."
    if _is_name(name):
        try:
            handle = os.open(name, flags | os.O_NOFOLLOW, dir_fd=root)
        except FileNotFoundError:
            raise
        except OSError:
            pass  # a symlink, or a failure that `resolve` will raise again
        else:
            if not flags & os.O_PATH or flags & os.O_NOFOLLOW or not stat.S_ISLNK(os.fstat(handle).st_mode):
                return handle
            os.close(handle)
    from pybuild.runtime.paths.walk import resolve

    return resolve(root, path, flags)


def _is_name(path: str) -> bool:
    return "/" not in path and path != ".." and "\0" not in path


def scan_directory(fd: int) -> list[DirectoryEntry]:
    """Return the entries of the directory behind *fd* (not an O_PATH one), names in byte order.

    A name that vanishes meanwhile is left out. Two threads must not scan one *fd* at once.
    """
    return [DirectoryEntry(name, status) for name, status in names_and_statuses(fd)]


def names_and_statuses(fd: int) -> list[tuple[str, os.stat_result]]:
    """Do `scan_directory`, but return plain pairs, which takes half the time: for walks of large trees."""
    # Not by os.scandir, whose entries cost a seventh of the time of an unchanged build.
    names = os.listdir(fd)
    try:
        "".join(names).encode()
        names.sort()
    except UnicodeEncodeError:
        # Surrogate escapes sort below some real characters: with them text order is not byte order.
        names.sort(key=os.fsencode)
    status, entries = os.stat, []
    for name in names:
        try:
            entries.append((name, status(name, dir_fd=fd, follow_symlinks=False)))
        except FileNotFoundError:
            continue
    return entries


def read_xattrs(target: int | str) -> dict[str, bytes]:
    """Return the extended attributes of an open file, or of ``/proc/self/fd/N`` for an O_PATH descriptor, by name.

    Those of overlayfs are left out: they are bookkeeping of a snapshot, and no content of an image.
    """
    try:
        names = os.listxattr(target)
    except OSError as error:
        if error.errno in {errno.ENOTSUP, errno.ENOSYS}:
            return {}
        raise
    if not names:
        return {}
    return {name: os.getxattr(target, name) for name in sorted(names) if not name.startswith(_OVERLAY_XATTRS)}


def _enter_or_make(dir_fd: int, name: str, status: tuple[int, int, int]) -> tuple[bool, int]:
    mode, uid, gid = status
    try:
        os.mkdir(name, 0o700, dir_fd=dir_fd)
    except FileExistsError:  # another process may have made it just now
        return False, os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=dir_fd)
    directory = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        os.fchown(directory, uid, gid)
        os.fchmod(directory, mode)
    except OSError:
        os.close(directory)
        raise
    return True, directory


def _named(error: OSError, path: str) -> Exception:
    """Return an UnsafePathError for an errno that means an unsafe *path*, otherwise *error* with this path."""
    if error.errno in _UNSAFE:
        return UnsafePathError(f"{path}: {os.strerror(error.errno).lower()}")
    return OSError(error.errno, os.strerror(error.errno or 0), path)
