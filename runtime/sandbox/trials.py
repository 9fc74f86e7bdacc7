"""Trials of what a sandbox needs of the kernel. Each runs in a process of its own and changes nothing outside."""

import os
from collections.abc import Callable

from pybuild.runtime.kernel.chroot import make_private
from pybuild.runtime.kernel.detached_mounts import filesystem
from pybuild.runtime.kernel.syscalls import (
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    CLONE_NEWUTS,
    bring_up_loopback,
    pivot_root,
    seccomp_listener,
    sethostname,
    unshare,
)
from pybuild.runtime.paths.in_root import make_directory
from pybuild.runtime.sandbox.inside.root import OverlayRoot
from pybuild.runtime.sandbox.inside.scratch import ScratchSpace

ALLOWING = bytes.fromhex("06000000") + (0x7FFF0000).to_bytes(4, "little")
"""A filter of one instruction, which allows every call."""


def try_namespaces() -> None:
    """Make the namespaces of a sandbox without a user namespace, and mount something."""
    unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS)
    make_private()
    filesystem("tmpfs")


def try_user_namespace() -> None:
    """Make a user namespace, and in it a mount namespace."""
    unshare(CLONE_NEWUSER | CLONE_NEWNS)


def try_overlay() -> None:
    """Mount an overlay and use it: some mount, but fail when a lower directory is removed."""
    try_namespaces()
    scratch = ScratchSpace()
    lower, upper, work, stubs = (make_directory(scratch.fd, name) for name in ("lower", "upper", "work", "stubs"))
    os.mkdir("directory", dir_fd=lower)
    paths = [f"/proc/self/fd/{fd}".encode() for fd in (lower, upper, work)]
    root = OverlayRoot((paths[0],), paths[1], False, paths[2]).make(scratch, stubs, 0)
    os.rmdir("directory", dir_fd=root)
    os.mkdir("directory", dir_fd=root)


def try_root() -> None:
    """Change the root of this process by pivot_root(2)."""
    try_namespaces()
    scratch = ScratchSpace()
    scratch.attach(tree := filesystem("tmpfs"))
    os.fchdir(tree)
    pivot_root(".", ".")


def try_proc() -> None:
    """Mount a new /proc, in a new PID namespace."""
    unshare(CLONE_NEWNS | CLONE_NEWPID)
    # By a child, since only children are in the new PID namespace, and /proc is that of the process which mounts it.
    number = attempt(lambda: filesystem("proc"))
    if number:
        raise OSError(number, os.strerror(number))


def try_host_name() -> None:
    """Set the host name of a new UTS namespace."""
    unshare(CLONE_NEWUTS)
    sethostname(b"pybuild")


def try_loopback() -> None:
    """Make a network namespace and bring up its loopback interface."""
    unshare(CLONE_NEWNET)
    bring_up_loopback()


def try_supervisor() -> None:
    """Install a filter with a listener. A process can have only one, which may be one of its parents'."""
    seccomp_listener(ALLOWING)


TRIALS: dict[str, Callable[[], None]] = {
    "namespaces": try_namespaces,
    "user": try_user_namespace,
    "overlay": try_overlay,
    "root": try_root,
    "proc": try_proc,
    "host name": try_host_name,
    "loopback": try_loopback,
    "supervisor": try_supervisor,
}


def attempt(trial: Callable[[], object]) -> int:
    """Run *trial* in a child; return its errno, 0 when it worked, 1 for an exception that is no OSError."""
    # The effects of a trial, such as a new namespace or a filter, cannot be undone. They end with the child.
    child = os.fork()
    if child == 0:
        try:
            trial()
        except Exception as error:  # noqa: BLE001 - any failure is the answer of a trial
            os._exit(getattr(error, "errno", 0) or 1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
