"""Functions of ``os`` for a process that has one id only: by them files have the owners that they have in the image.

`start` replaces the functions of `os` that return or change owners, so that code which works on trees does the same as
for root. They are not safe in trees that another process changes meanwhile.
"""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pybuild.runtime.ownership import record
from pybuild.runtime.ownership.record import DEVICES, NO_ID, RECORDABLE, SPECIAL, FileOwner
from pybuild.runtime.ownership.table import OwnerTable, birth_of

Target = int | str | bytes | os.PathLike[Any]
_NAMED = tuple(f"st_{kind}time{unit}" for kind in "amc" for unit in ("", "_ns"))
_SAME = {-1, NO_ID}  # an id that chown(2) leaves as it is, as a number of Python and of C


class _Recording:
    table = OwnerTable()


def start() -> None:
    """Replace the functions in this process. Does nothing the second time."""
    if record.is_begun():
        return
    record.begin()
    kernel = _Kernel()
    for name, function in (
        ("stat", partial(_stat, kernel)),
        ("lstat", partial(_lstat, kernel)),
        ("fstat", partial(_fstat, kernel)),
        ("chown", partial(_chown, kernel)),
        ("lchown", partial(_lchown, kernel)),
        ("fchown", partial(_fchown, kernel)),
        ("mknod", partial(_mknod, kernel)),
        ("listxattr", partial(_listxattr, kernel)),
        ("scandir", partial(_Scan, kernel)),
    ):
        setattr(os, name, function)


def use_table(path: Path) -> None:
    """Use the file *path* for owners of files that can have no attribute."""
    _Recording.table = OwnerTable(path)


def table() -> OwnerTable:
    """Return the owners of files that can have no attribute."""
    return _Recording.table


class _Kernel:
    """The functions of `os` as they were."""

    def __init__(self) -> None:
        self.stat: Callable[..., os.stat_result] = os.stat
        self.chown: Callable[..., None] = os.chown
        self.mknod: Callable[..., None] = os.mknod
        self.listxattr: Callable[..., list[str]] = os.listxattr
        self.scandir: Callable[..., Any] = os.scandir


def _place(path: Target, dir_fd: int | None) -> bytes:
    """Return a path for *path* and *dir_fd*, since extended attributes have no calls with a ``dir_fd``."""
    if isinstance(path, int):
        return b"/proc/self/fd/%d" % path
    name = os.fsencode(path)
    return name if dir_fd is None or name.startswith(b"/") else b"/proc/self/fd/%d/%b" % (dir_fd, name)


def _owner(found: os.stat_result, place: bytes, *, follow: bool) -> FileOwner | None:
    kind = stat.S_IFMT(found.st_mode)
    if kind in RECORDABLE:
        with suppress(FileNotFoundError):  # it was removed since its status was read
            return record.read(place, follow=follow)
    if kind in SPECIAL and not _Recording.table.is_empty():
        with suppress(OSError):  # it was removed meanwhile, or the file system records no time of birth
            return _Recording.table.owner(_birth(place, follow=follow))
    return None


def _birth(place: bytes, *, follow: bool) -> tuple[int, int]:
    fd = os.open(place, os.O_PATH | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW))
    try:
        return birth_of(fd)
    finally:
        os.close(fd)


def _shown(found: os.stat_result, owner: FileOwner | None) -> os.stat_result:
    if owner is None:
        return found
    fields = list(found)
    fields[stat.ST_MODE], fields[stat.ST_UID], fields[stat.ST_GID] = owner.mode(found.st_mode), owner.uid, owner.gid
    device = owner.device if owner.kind else found.st_rdev
    named = {name: getattr(found, name) for name in _NAMED}
    return os.stat_result(
        fields, {**named, "st_blksize": found.st_blksize, "st_blocks": found.st_blocks, "st_rdev": device}
    )


def _stat(kernel: _Kernel, path: Target, *, dir_fd: int | None = None, follow_symlinks: bool = True) -> os.stat_result:
    found = kernel.stat(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)
    # The path of a descriptor in /proc is a symlink, which must be followed.
    follow = follow_symlinks or isinstance(path, int)
    return _shown(found, _owner(found, _place(path, dir_fd), follow=follow))


def _lstat(kernel: _Kernel, path: Target, *, dir_fd: int | None = None) -> os.stat_result:
    return _stat(kernel, path, dir_fd=dir_fd, follow_symlinks=False)


def _fstat(kernel: _Kernel, fd: int) -> os.stat_result:
    return _stat(kernel, fd)


def _chown(
    kernel: _Kernel, path: Target, uid: int, gid: int, *, dir_fd: int | None = None, follow_symlinks: bool = True
) -> None:
    place, follow = _place(path, dir_fd), follow_symlinks or isinstance(path, int)
    found = kernel.stat(place, follow_symlinks=follow)
    # To the owner that it has for the kernel, which checks that it is permitted, and clears set-id bits and file
    # capabilities.
    kernel.chown(place, 0, 0, follow_symlinks=follow)
    before = _owner(found, place, follow=follow) or record.ROOT
    new = (before.uid if uid in _SAME else uid), (before.gid if gid in _SAME else gid)
    if stat.S_IFMT(found.st_mode) in RECORDABLE:
        record.write(place, FileOwner(*new, before.kind, before.device))
    elif new != (before.uid, before.gid):
        _Recording.table.add([(*_birth(place, follow=follow), *new)])


def _lchown(kernel: _Kernel, path: Target, uid: int, gid: int) -> None:
    _chown(kernel, path, uid, gid, follow_symlinks=False)


def _fchown(kernel: _Kernel, fd: int, uid: int, gid: int) -> None:
    _chown(kernel, fd, uid, gid)


def _mknod(kernel: _Kernel, path: Target, mode: int = 0o600, device: int = 0, *, dir_fd: int | None = None) -> None:
    kind = stat.S_IFMT(mode)
    if kind not in DEVICES or (kind == stat.S_IFCHR and device == 0):  # the latter is a whiteout of overlayfs
        kernel.mknod(path, mode, device, dir_fd=dir_fd)
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(path, flags, stat.S_IMODE(mode), dir_fd=dir_fd)  # type: ignore[arg-type] # mknod takes no descriptor
    try:
        record.write(fd, FileOwner(0, 0, kind, device))
    finally:
        os.close(fd)


def _listxattr(kernel: _Kernel, path: Target | None = None, *, follow_symlinks: bool = True) -> list[str]:
    return record.visible(kernel.listxattr(path, follow_symlinks=follow_symlinks))


class _Entry:
    """A `os.DirEntry` whose status shows the owner in the image."""

    def __init__(self, kernel: _Kernel, entry: "os.DirEntry[Any]", above: bytes) -> None:
        self._kernel, self._entry, self._above = kernel, entry, above
        self.name, self.path, self.inode = entry.name, entry.path, entry.inode
        self.is_dir, self.is_file, self.is_symlink = entry.is_dir, entry.is_file, entry.is_symlink

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        found = self._entry.stat(follow_symlinks=follow_symlinks)
        place = self._above + b"/" + os.fsencode(self.name)
        return _shown(found, _owner(found, place, follow=follow_symlinks))


class _Scan:
    """What `os.scandir` returns."""

    def __init__(self, kernel: _Kernel, path: Target = ".") -> None:
        self._kernel, self._found, self._above = kernel, kernel.scandir(path), _place(path, None)

    def __iter__(self) -> Iterator[_Entry]:
        return (_Entry(self._kernel, entry, self._above) for entry in self._found)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._found.close()
