"""Entering an existing user namespace, which commands need to reach containers that run without root.

User namespaces that a user has made side by side have no rights over each other, so all containers of a user share one.
The kernel lets the user who made it enter it from outside.
"""

import os
from errno import EINVAL

from pybuild.runtime.errors import SandboxUnavailable
from pybuild.runtime.kernel.syscalls import CLONE_NEWNS, CLONE_NEWUSER, setns, unshare
from pybuild.runtime.sandbox import isolation

OWN = "/proc/self/ns/user"


def identity(path: int | str = OWN) -> tuple[int, int]:
    """Return (device, inode), which identify a namespace as long as it exists: that of this process, or an open one."""
    found = os.stat(path)
    return found.st_dev, found.st_ino


def join_root(namespace: int) -> None:
    """Make this process, which must have one thread only, root of the open user namespace *namespace*, irrevocably.

    It also gets a mount namespace of its own, a copy of its former one, in which it may mount.

    Raises:
        SandboxUnavailable: the kernel refuses.
    """
    try:
        setns(namespace, CLONE_NEWUSER)
        unshare(CLONE_NEWNS)
        os.setgroups([])
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
    except OSError as error:
        why = "it has several threads" if error.errno == EINVAL else (error.strerror or "refused").lower()
        raise SandboxUnavailable(f"cannot enter the user namespace of running containers: {why}") from error
    isolation.note_entered()
