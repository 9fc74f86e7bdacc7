"""Copies between two open file trees that need not be trusted.

No symlink is followed out of a tree, and no file is opened in a way that could block, such as a named pipe.
"""

import os
from contextlib import suppress
from stat import S_IMODE, S_ISDIR, S_ISLNK, S_ISREG

from pybuild.builder.containers.errors import ContainerError
from pybuild.runtime.paths.safepath import DirectoryEntry, Root, scan_directory
from pybuild.runtime.paths.sparse import copy_data

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DIRECTORY = _READ | os.O_DIRECTORY
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Copier:
    """Copies files, and merges directories. *owner* is the owner of the copies; None keeps that of each source."""

    def __init__(self, owner: tuple[int, int] | None) -> None:
        self._owner = owner

    def copy_directory(self, source: int, target: int) -> None:
        """Copy the content of the open directory *source* into the open directory *target*."""
        pending = [(os.dup(source), os.dup(target))]
        while pending:
            old, new = pending.pop()
            try:
                for entry in scan_directory(old):
                    if S_ISDIR(entry.stat.st_mode):
                        pending.append(self._inner(old, new, entry))
                    else:
                        self.copy_file(old, entry, new, entry.name)
            finally:
                os.close(old)
                os.close(new)

    def _inner(self, old: int, new: int, entry: DirectoryEntry) -> tuple[int, int]:
        source = os.open(entry.name, _DIRECTORY, dir_fd=old)
        try:
            return source, self.make_directory(new, entry.name, entry.stat)
        except BaseException:
            os.close(source)
            raise

    def make_directory(self, new: int, name: str, status: os.stat_result) -> int:
        """Open the directory *name* in *new*; if it is missing, create it with the owner and mode of *status*.

        Raises:
            ContainerError: there is something else of this name.
        """
        made = False
        with suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=new)
            made = True
        try:
            target = os.open(name, _DIRECTORY, dir_fd=new)
        except NotADirectoryError as error:
            raise ContainerError(f"cannot overwrite non-directory {name!r} with a directory") from error
        if made:
            os.fchown(target, *(self._owner or (status.st_uid, status.st_gid)))
            os.fchmod(target, S_IMODE(status.st_mode))
        return target

    def copy_file(self, old: int, entry: DirectoryEntry, new: int, name: str) -> None:
        """Copy a file, symlink or device of the directory *old* as *name* to *new*, and replace what has the name.

        Raises:
            ContainerError: a directory has the name, or the file was replaced while it was copied.
        """
        self._make_room(new, name)
        mode = entry.stat.st_mode
        if S_ISREG(mode):
            self._regular(old, entry, new, name)
        elif S_ISLNK(mode):
            os.symlink(os.readlink(entry.name, dir_fd=old), name, dir_fd=new)
            os.chown(name, *self._owner_of(entry), dir_fd=new, follow_symlinks=False)
        else:
            os.mknod(name, mode, entry.stat.st_rdev, dir_fd=new)
            os.chown(name, *self._owner_of(entry), dir_fd=new, follow_symlinks=False)

    def _make_room(self, new: int, name: str) -> None:
        try:
            os.unlink(name, dir_fd=new)
        except FileNotFoundError:
            return
        except IsADirectoryError as error:
            raise ContainerError(f"cannot overwrite directory {name!r} with a non-directory") from error

    def _regular(self, old: int, entry: DirectoryEntry, new: int, name: str) -> None:
        source = os.open(entry.name, _READ, dir_fd=old)
        try:
            status = os.fstat(source)
            if not S_ISREG(status.st_mode):  # replaced since its directory was read
                raise ContainerError(f"{entry.name!r} changes while it is copied")
            target = os.open(name, _CREATE, 0o600, dir_fd=new)
            try:
                copy_data(source, target, status)
                # In this order: a change of the owner clears set-user-ID bits, and writing changes the time.
                os.fchown(target, *self._owner_of(entry))
                os.fchmod(target, S_IMODE(status.st_mode))
                os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
            finally:
                os.close(target)
        finally:
            os.close(source)

    def _owner_of(self, entry: DirectoryEntry) -> tuple[int, int]:
        return self._owner or (entry.stat.st_uid, entry.stat.st_gid)


def copy(source: tuple[Root, str], target: tuple[Root, str], copier: Copier, *, follow: bool) -> None:
    """Copy from a path in one tree to a path in another, by the rules of ``docker cp`` for directories and slashes.

    *follow* follows a symlink at the source.

    Raises:
        ContainerError: the source is missing, or source and target do not fit. The messages are Docker's.
    """
    (old, path), (new, place) = source, target
    contents = path.endswith("/.") or path == "."
    status = old.stat(path, follow=follow or path.endswith(("/", "/.")))
    if status is None:
        raise ContainerError(f"Could not find the file /{path.rstrip('/')} in the source")
    there = new.stat(place)
    if there is None and place.endswith("/") and not S_ISDIR(status.st_mode):
        raise ContainerError(f"no such directory: /{place}")
    if there is not None and not place.endswith("/"):
        place = new.real(place)  # through a symlink to a file its target is written, not the link
    into = there is not None and S_ISDIR(there.st_mode)
    where = (
        f"{place.rstrip('/')}/{last_name(path)}"
        if into and not (contents and S_ISDIR(status.st_mode))
        else place.rstrip("/")
    )
    real = old.real(path) if follow or S_ISDIR(status.st_mode) else path
    _put(old, real, new, where, copier)


def last_name(path: str) -> str:
    """Return the name at the end of a path, "." for the root."""
    return path.rstrip("/").removesuffix("/.").rpartition("/")[2] or "."


def _put(old: Root, path: str, new: Root, where: str, copier: Copier) -> None:
    above, name = _open_parent(old, path)
    try:
        entry = DirectoryEntry(name, os.stat(name, dir_fd=above, follow_symlinks=False))
        if not S_ISDIR(entry.stat.st_mode):
            beside, target = _open_parent(new, where)
            try:
                copier.copy_file(above, entry, beside, target)
            finally:
                os.close(beside)
            return
        source = os.open(name, _DIRECTORY, dir_fd=above)
    finally:
        os.close(above)
    try:
        target_fd = _directory(new, where, os.fstat(source), copier)
        try:
            copier.copy_directory(source, target_fd)
        finally:
            os.close(target_fd)
    finally:
        os.close(source)


def _directory(new: Root, where: str, status: os.stat_result, copier: Copier) -> int:
    found = new.stat(where)
    if found is not None:
        if not S_ISDIR(found.st_mode):
            raise ContainerError(f"cannot copy a directory to the file /{where}")
        return new.open(where, os.O_RDONLY | os.O_DIRECTORY)
    beside, name = _open_parent(new, where)
    try:
        return copier.make_directory(beside, name, status)
    finally:
        os.close(beside)


def _open_parent(root: Root, path: str) -> tuple[int, str]:
    """Open the parent directory of *path*; return its descriptor and the last name, "." for the root itself."""
    if path.strip("/.") == "":
        return root.open(".", os.O_RDONLY | os.O_DIRECTORY), "."
    try:
        handle, name = root.parent(path)
    except FileNotFoundError:
        raise ContainerError(f"Could not find the directory of /{path}") from None
    try:
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=handle), name
    finally:
        os.close(handle)
