"""Mount points: found or made inside a root by descriptor, and taken away again without following a single link."""

import os
from errno import EAGAIN, EISDIR, ELOOP, ENOENT, ENOTDIR
from stat import S_ISDIR

from runtime.syscalls import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2

_RACES = 32
_MAX_LINKS = 40


def open_inside(root: int, path: bytes, flags: int = os.O_PATH) -> int:
    """Open *path* with *root* as its root: links lead nowhere else, and none of /proc's magic links is followed."""
    for _ in range(_RACES):
        try:
            return openat2(root, path, flags, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
        except BlockingIOError:  # a rename elsewhere in the tree; the kernel cannot tell whether it mattered
            continue
    raise OSError(EAGAIN, os.strerror(EAGAIN), path)


class Stub:
    """A mount point that was made for this run, remembered by its folder's descriptor, name and inode."""

    __slots__ = ("before", "found", "name", "parent")

    def __init__(self, parent: int, name: bytes, before: os.stat_result) -> None:
        self.parent, self.name, self.before = parent, name, before
        self.found = (self._look(), os.fstat(parent).st_mtime_ns)

    def _look(self) -> tuple[int, int, int]:
        status = os.stat(self.name, dir_fd=self.parent, follow_symlinks=False)
        return status.st_dev, status.st_ino, status.st_mode

    def remove(self) -> None:
        """Remove the stub if it is still the same empty file or folder; give its folder the earlier times back."""
        inode, mtime = self.found
        unchanged = os.fstat(self.parent)
        try:
            if self._look() != inode:
                return
            if S_ISDIR(inode[2]):
                os.rmdir(self.name, dir_fd=self.parent)
            elif os.stat(self.name, dir_fd=self.parent, follow_symlinks=False).st_size == 0:
                os.unlink(self.name, dir_fd=self.parent)
        except OSError:  # gone, or in use by the image now: then it is no stub any more
            return
        # What the process changed itself in this folder keeps its own time.
        times = self.before if unchanged.st_mtime_ns == mtime else unchanged
        os.utime(".", ns=(times.st_atime_ns, times.st_mtime_ns), dir_fd=self.parent)


class Stubs:
    """The mount points that one run had to make in its root."""

    __slots__ = ("_made",)

    def __init__(self) -> None:
        self._made: list[Stub] = []

    def open(self, root: int, path: bytes, *, folder: bool) -> int:
        """Return an O_PATH descriptor of the mount point *path* in *root*, made with its parents if it is missing.

        Raises OSError when something of the other kind is there.
        """
        try:
            fd = open_inside(root, path)
        except FileNotFoundError:
            return self._make(root, path, folder, _MAX_LINKS)
        if S_ISDIR(os.fstat(fd).st_mode) != folder:
            os.close(fd)
            number = ENOTDIR if folder else EISDIR
            raise OSError(number, os.strerror(number), path)
        return fd

    def _make(self, root: int, path: bytes, folder: bool, links: int) -> int:
        above, _, name = path.rstrip(b"/").rpartition(b"/")
        try:
            parent = open_inside(root, above or b"/", os.O_PATH | os.O_DIRECTORY)
        except FileNotFoundError:
            parent = self._make(root, above, True, links)
        try:
            return self._make_in(parent, name, folder)
        except FileExistsError:
            # Opening failed and making as well: a symbolic link whose target is missing. The target is made, as runc
            # does it, because images point /etc/resolv.conf into /run.
            if links == 0:
                raise OSError(ELOOP, os.strerror(ELOOP), path) from None
            aim = os.readlink(name, dir_fd=parent)
            os.close(parent)
            return self._make(root, aim if aim.startswith(b"/") else above + b"/" + aim, folder, links - 1)

    def _make_in(self, parent: int, name: bytes, folder: bool) -> int:
        if name in {b"", b".", b".."}:
            raise OSError(ENOENT, os.strerror(ENOENT), name)
        before = os.fstat(parent)
        if folder:
            os.mkdir(name, 0o755, dir_fd=parent)
        else:
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644, dir_fd=parent))
        self._made.append(Stub(parent, name, before))
        return os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=parent)

    def remove(self) -> None:
        """Remove what was made, last first. Call this outside the mount namespace in which mounts lie on the stubs."""
        while self._made:
            self._made.pop().remove()


def plant(folder: int, targets: tuple[tuple[bytes, bool], ...]) -> None:
    """Make each of the (path, is a folder) *targets* below *folder*, an empty folder that nobody else can reach.

    Targets that exclude each other (one below another, which is a file) are left to `Stubs`, which reports them.
    """
    for path, is_folder in targets:
        try:
            _plant_one(folder, path, is_folder)
        except (NotADirectoryError, IsADirectoryError):
            continue


def _plant_one(folder: int, path: bytes, is_folder: bool) -> None:
    *parents, name = path.strip(b"/").split(b"/")
    current = os.open(".", os.O_PATH | os.O_DIRECTORY, dir_fd=folder)
    for parent in parents:
        current = _descend(current, parent)
    if is_folder:
        current = _descend(current, name)
    else:
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=current))
    os.close(current)


def _descend(folder: int, name: bytes) -> int:
    below = make_folder(folder, name)
    os.close(folder)
    return below


def make_folder(parent: int, name: str | bytes) -> int:
    """Return a descriptor of the folder *name* in *parent*, made when it is missing."""
    try:
        os.mkdir(name, 0o755, dir_fd=parent)
    except FileExistsError:  # contextlib would cost the child a millisecond
        return os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    return os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
