"""The program by which `privileges.probe` tries things out: ``python -I -S probe.py WHAT...``.

It changes nothing outside of itself and prints one line for each WHAT: the name and the errno, 0 when it worked.
"""

import os
import sys

sys.path.append(os.path.abspath(__file__).rsplit(os.sep, 4)[0])

from pybuild.runtime.kernel.chroot import make_private
from pybuild.runtime.kernel.syscalls import (
    CLONE_NEWIPC,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    CLONE_NEWUTS,
    unshare,
)
from pybuild.runtime.sandbox.inside.mounts import OverlayRoot, ScratchSpace, filesystem
from pybuild.runtime.sandbox.inside.stubs import make_folder


def try_namespaces() -> None:
    """Make the namespaces of a sandbox without a user namespace, and mount something."""
    unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS)
    make_private()
    filesystem("tmpfs")


def try_user_namespace() -> None:
    """Make a user namespace, and in it a mount namespace."""
    unshare(CLONE_NEWUSER | CLONE_NEWNS)


def try_overlay() -> None:
    """Use an overlay: one that mounts may still fail with the first removal of a lower directory."""
    try_namespaces()
    scratch = ScratchSpace()
    lower, upper, work, stubs = (make_folder(scratch.fd, name) for name in ("lower", "upper", "work", "stubs"))
    os.mkdir("folder", dir_fd=lower)
    paths = [f"/proc/self/fd/{fd}".encode() for fd in (lower, upper, work)]
    root = OverlayRoot((paths[0],), paths[1], False, paths[2]).make(scratch, stubs, 0)
    os.rmdir("folder", dir_fd=root)
    os.mkdir("folder", dir_fd=root)


_TRIALS = {"namespaces": try_namespaces, "user": try_user_namespace, "overlay": try_overlay}


def attempt(name: str) -> int:
    """Return the errno of one trial, made in a process of its own."""
    child = os.fork()
    if child == 0:
        try:
            _TRIALS[name]()
        except Exception as error:  # noqa: BLE001 - whatever is wrong, the answer is no
            os._exit(getattr(error, "errno", 0) or 1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    for what in sys.argv[1:]:
        os.write(1, f"{what} {attempt(what)}\n".encode())
