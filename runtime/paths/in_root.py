"""Opens and makes paths inside a root, by openat2(2); without `walk`, because the sandbox child must import little."""

import os
from errno import EAGAIN
from stat import S_IMODE

from pybuild.runtime.kernel import syscalls

_RACES = 32
"""The most attempts after EAGAIN, which is temporary unless somebody provokes it."""
_DIRECTORY = os.O_PATH | os.O_DIRECTORY
_IN_ROOT = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS


def open_inside(root: int, path: bytes, flags: int = os.O_PATH) -> int:
    """Open *path* as a process with this *root* would. Magic links, such as /proc/PID/root, are not followed."""
    for _ in range(_RACES):
        try:
            return syscalls.openat2(root, path or b".", flags, resolve=_IN_ROOT)
        except BlockingIOError:
            # A rename or mount somewhere on the host happened while the kernel resolved "..", so it could not be sure
            # of the result.
            continue
    raise OSError(EAGAIN, os.strerror(EAGAIN), path)


def make_directory(parent: int, name: str | bytes) -> int:
    """Return an O_PATH descriptor of the directory *name* in *parent*; a missing one is made, of mode 0755."""
    try:
        os.mkdir(name, 0o755, dir_fd=parent)
    except FileExistsError:  # not by contextlib.suppress, whose import costs the child a millisecond
        return os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    made = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    undo_umask(made, 0o755)
    return made


def undo_umask(fd: int, mode: int) -> None:
    """Give the new file of an O_PATH descriptor the bits of *mode* that the umask of this process has removed.

    What is made for a step must not depend on the umask of the user, or of a monitor, which is 077.
    """
    given = S_IMODE(os.fstat(fd).st_mode)
    # Only if a bit is missing, since some file systems have no modes. A set-group-ID bit, which comes from the
    # directory above, stays. fchmod(2) refuses O_PATH descriptors.
    if mode & ~given:
        os.chmod(b"/proc/self/fd/%d" % fd, given | mode)


def make_directory_inside(root: int, path: bytes, uid: int, gid: int) -> int:
    """Open the directory *path* as `open_inside` does. Missing ones are made, of mode 0755, for *uid* and *gid*."""
    above, reached, names = os.dup(root), b"", path.split(b"/")
    for index, name in enumerate(names):
        try:
            directory = _open_or_make(root, reached + b"/" + name, above, uid, gid)
        except FileExistsError:
            # It could neither be opened nor made, so it is a dangling symlink, whose target is made.
            target = os.readlink(name, dir_fd=above)
            further = b"/".join((target if target.startswith(b"/") else reached + b"/" + target, *names[index + 1 :]))
            return make_directory_inside(root, further, uid, gid)
        finally:
            os.close(above)
        above, reached = directory, reached + b"/" + name
    return above


def _open_or_make(root: int, path: bytes, above: int, uid: int, gid: int) -> int:
    try:
        return open_inside(root, path, _DIRECTORY)
    except FileNotFoundError:
        name = path.rpartition(b"/")[2]
        os.mkdir(name, 0o755, dir_fd=above)
        os.chown(name, uid, gid, dir_fd=above, follow_symlinks=False)
        return open_inside(root, path, _DIRECTORY)
