"""The Python interpreter of sandbox children, as a file that they cannot write to.

/proc/self/exe of the first process until its exec, and of an init, is the host's interpreter, and an image can open it
by naming that symlink as the interpreter of a script (CVE-2019-5736). So children are not started from the file itself,
but from a detached read-only bind mount of it: writing through the symlink fails there with EROFS.
"""

import os
import sys
import threading
from functools import lru_cache
from pathlib import Path

from pybuild.runtime.kernel.syscalls import AT_FDCWD, MOUNT_ATTR_RDONLY, OPEN_TREE_CLONE, mount_setattr, open_tree

_SEALS = 0x1 | 0x2 | 0x4 | 0x8  # F_SEAL_SEAL, SHRINK, GROW, WRITE
_F_ADD_SEALS = 1033
_LOCK = threading.Lock()
BOOTSTRAP = Path(__file__).with_name("inside") / "bootstrap.py"
"""The program of the fork server."""


def interpreter() -> int:
    """Return a descriptor to execute as ``/proc/self/fd/N``. It is the same each time, and never closed."""
    # lru_cache alone would let two threads open one each.
    with _LOCK:
        return _open_interpreter()


@lru_cache(maxsize=1)
def _open_interpreter() -> int:
    try:
        return read_only_mount(program())
    except OSError:  # mounts are not permitted
        return sealed_copy(program())


def program() -> str:
    """Return the path of the interpreter itself, not that of a virtual environment's symlink to it."""
    return os.path.realpath(sys.executable)


def read_only_mount(path: str) -> int:
    """Return a detached, read-only bind mount of the file *path*. Costs microseconds."""
    tree = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE)
    mount_setattr(tree, MOUNT_ATTR_RDONLY)
    return tree


def sealed_copy(path: str) -> int:
    """Return a copy of the file *path* in memory, sealed so that it can never be written again (memfd_create(2))."""
    import fcntl

    fd = os.memfd_create("python", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with open(path, "rb") as source:
        # Again until nothing is left: one call copies 2 GiB at most, and may copy less (sendfile(2)).
        while os.sendfile(fd, source.fileno(), None, 1 << 30):
            pass
    fcntl.fcntl(fd, _F_ADD_SEALS, _SEALS)
    return fd


def child_argv(*arguments: object, script: Path = BOOTSTRAP) -> list[str]:
    """Return the command line of the fork server, or of another *script* of this package."""
    # Python finds its standard library by the first word. -I and -S keep the paths and variables of the user, and the
    # packages that are installed, out of it.
    return [program(), "-I", "-S", str(script), *map(str, arguments)]


def child_environment() -> dict[str, str]:
    """Return the environment of the child, in which there is nothing of the builder's and nothing of the image's."""
    # Executed as /proc/self/fd/N, the program has another directory, so it would not find its libpython by $ORIGIN.
    return {"LC_ALL": "C.UTF-8", "LD_LIBRARY_PATH": f"{sys.base_prefix}/lib"}
