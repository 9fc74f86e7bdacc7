"""The Python that sandbox children run on, in a form that nobody can write through.

/proc/self/exe of a process until its exec, and of an init, is our interpreter; an image that names that link as a
script interpreter gets it open (CVE-2019-5736). So children are not started from the file itself but from a
read-only bind mount that is attached nowhere: the link then leads through a mount on which every write fails.
"""

import os
import sys
import threading
from functools import lru_cache
from pathlib import Path

from pybuild.runtime.kernel.syscalls import AT_FDCWD, MOUNT_ATTR_RDONLY, OPEN_TREE_CLONE, mount_setattr, open_tree

_SEALS = 0x1 | 0x2 | 0x4 | 0x8  # F_SEAL_SEAL, SHRINK, GROW, WRITE
_F_ADD_SEALS = 1033
_FIRST = threading.Lock()
BOOTSTRAP = Path(__file__).with_name("inside") / "bootstrap.py"
"""Where the fork server of sandboxes starts."""


def interpreter() -> int:
    """Return a descriptor to execute as ``/proc/self/fd/N``; always the same, open as long as this process lives."""
    # The cache alone would let two threads that come first make one each.
    with _FIRST:
        return _open_interpreter()


@lru_cache(maxsize=1)
def _open_interpreter() -> int:
    try:
        return read_only_mount(program())
    except OSError:  # no privilege for mounts
        return sealed_copy(program())


def program() -> str:
    """Return the path of the interpreter itself, behind the links of a virtual environment."""
    return os.path.realpath(sys.executable)


def read_only_mount(path: str) -> int:
    """Return a detached, read-only bind mount of the file *path*. Costs microseconds."""
    tree = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE)
    mount_setattr(tree, MOUNT_ATTR_RDONLY)
    return tree


def sealed_copy(path: str) -> int:
    """Return a copy of the file *path* in memory that the kernel keeps from ever being written again."""
    import fcntl

    fd = os.memfd_create("python", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with open(path, "rb") as source:
        while os.sendfile(fd, source.fileno(), None, 1 << 30):
            pass
    fcntl.fcntl(fd, _F_ADD_SEALS, _SEALS)
    return fd


def child_argv(*arguments: object, script: Path = BOOTSTRAP) -> list[str]:
    """Return the command line of the sandbox child, or of another *script* of ours."""
    # The first word is what Python finds its standard library by.
    return [program(), "-I", "-S", str(script), *map(str, arguments)]


def child_environment() -> dict[str, str]:
    """Return the whole environment of the child: nothing of the builder's, and nothing of the image's."""
    # The magic link hides the program's directory, and with it an $ORIGIN by which it would find its own libpython.
    return {"LC_ALL": "C.UTF-8", "LD_LIBRARY_PATH": f"{sys.base_prefix}/lib"}
