"""Resolves a path in a root to a descriptor: by openat2(2), or component by component where that cannot be used.

Both give the same result, that of a process whose root it is. Linux before 5.6 has no openat2, filters of old container
engines deny it, and a path may be longer than the kernel accepts. And openat2 gives up on ``..`` when anything on the
host is renamed meanwhile: on a busy host it may never resolve a path with many of them.
"""

import errno
import os
import stat
from contextlib import closing, suppress
from functools import cache

from pybuild.runtime.errors import UnsafePathError
from pybuild.runtime.kernel import syscalls
from pybuild.runtime.paths.in_root import open_inside

DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_PATH_MAX = 4096
"""PATH_MAX of Linux, with the NUL byte."""
_BENEATH = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_SYMLINKS | syscalls.RESOLVE_NO_MAGICLINKS


def resolve(root: int, path: str, flags: int) -> int:
    """Open *path* inside *root*, where symlinks are followed. Raises OSError with the errno of the kernel."""
    raw = os.fsencode(path)
    if b"\0" in raw:  # the kernel would take the text before it
        raise OSError(errno.ENOENT, "a name cannot contain a null byte", path)
    if len(raw) < _PATH_MAX and kernel_resolves():
        with suppress(BlockingIOError):  # too many renames: see above
            return open_inside(root, raw, flags)
    with closing(Walk(root)) as walk:
        walk.run(path, follow=not flags & os.O_NOFOLLOW)
        return reopen(walk.fd, flags)


def open_beneath(fd: int, path: str, flags: int = os.O_RDONLY | os.O_DIRECTORY) -> int:
    """Open *path* below *fd*. No component may be a symlink or ``..``; the path may be longer than PATH_MAX.

    By this a scan of a deep tree opens its directories again by their paths, and needs no descriptor for each level.
    """
    names = names_of(path) or ["."]
    if ".." in names:
        raise UnsafePathError(f"{path}: has a parent component")
    # 15 names of 255 bytes fit into PATH_MAX. Without openat2, O_NOFOLLOW covers only the last name of a call.
    width = 1 if not kernel_resolves() else len(names) if len(path) < _PATH_MAX // 4 else 15
    current = fd
    for start in range(0, len(names), width):
        part = "/".join(names[start : start + width])
        step = (flags if start + width >= len(names) else DIRECTORY) | os.O_NOFOLLOW | os.O_CLOEXEC
        outer = current
        try:
            current = (
                os.open(part, step, dir_fd=outer) if width == 1 else syscalls.openat2(outer, part, step, 0, _BENEATH)
            )
        finally:
            if outer != fd:
                os.close(outer)
    return current


class Walk:
    """A resolution component by component: `names` lead from the root to `fd`, an O_PATH descriptor, -1 if missing.

    `links` are the places of the symlinks that were followed, in order.

    Each name is opened without following it; a symlink is read, and its text is walked in turn. For ``..`` the names so
    far, without the last, are opened from the root again. So one descriptor is enough for any depth, and a directory
    that is moved meanwhile leads to an error, but never out of the root.
    """

    __slots__ = ("_missing_ok", "_root", "fd", "links", "names")

    def __init__(self, root: int, *, missing_ok: bool = False) -> None:
        self._root = root
        self._missing_ok = missing_ok
        self.names: list[str] = []
        self.links: list[str] = []
        self.fd = os.dup(root)

    def close(self) -> None:
        """Close the descriptor."""
        self._move_to(-1)

    def run(self, path: str, *, follow: bool) -> None:
        """Walk *path*. A symlink at its end is followed if *follow* is set or a slash ends the path."""
        todo = _reversed_components(path)
        while todo:
            name = todo.pop()
            if name not in {".", ".."}:
                self._enter(name, todo, follow_last=follow)
            elif self.fd >= 0 and not stat.S_ISDIR(os.fstat(self.fd).st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
            elif name == "..":
                del self.names[-1:]
                self._move_to(self._open("/".join(self.names), self._root))
            if self.fd < 0 and not self._missing_ok:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)

    def _open(self, path: str, dir_fd: int) -> int:
        try:
            return open_beneath(dir_fd, path, os.O_PATH)
        except FileNotFoundError:
            return -1

    def _enter(self, name: str, todo: list[str], *, follow_last: bool) -> None:
        inner = self._open(name, self.fd) if self.fd >= 0 else -1
        if inner >= 0 and (todo or follow_last) and stat.S_ISLNK(os.fstat(inner).st_mode):
            target = os.readlink("", dir_fd=inner)
            os.close(inner)
            self.links.append("/".join((*self.names, name)))
            self._follow(target, todo)
        else:
            self.names.append(name)
            self._move_to(inner)

    def _follow(self, target: str, todo: list[str]) -> None:
        if len(self.links) > syscalls.MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), target)
        if target.startswith("/"):
            self.names.clear()
            self._move_to(os.dup(self._root))
        todo.extend(_reversed_components(target))

    def _move_to(self, fd: int) -> None:
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = fd


def _reversed_components(path: str) -> list[str]:
    """Return the components of *path*, last first. A slash at its end, which requires a directory, becomes "."."""
    names = [name for name in path.split("/") if name]
    return [".", *names[::-1]] if path.endswith("/") else names[::-1]


def names_of(path: str) -> list[str]:
    """Return the components of *path* without empty ones and "."."""
    return [name for name in path.split("/") if name not in {"", "."}]


def reopen(handle: int, flags: int) -> int:
    """Open the file of an O_PATH descriptor. No name is resolved, so nobody can put another file in its place."""
    return os.open(f"/proc/self/fd/{handle}", flags & ~os.O_NOFOLLOW)


@cache
def kernel_resolves() -> bool:
    """Return whether openat2 can be used: Linux before 5.6 lacks it, filters of old container engines deny it."""
    try:
        os.close(syscalls.openat2(syscalls.AT_FDCWD, ".", DIRECTORY))
    except OSError as error:
        if error.errno not in {errno.ENOSYS, errno.EPERM}:
            raise
        return False
    return True
