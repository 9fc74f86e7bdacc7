"""Making and entering a user namespace: what the kernel requires of the process, and why it refuses."""

import os
import sys
from contextlib import suppress
from errno import EINVAL, ENOSPC, EPERM

from pybuild.runtime.advice import more_namespaces, permitting_namespaces
from pybuild.runtime.errors import SandboxUnavailable
from pybuild.runtime.kernel.syscalls import CLONE_NEWNS, CLONE_NEWUSER, unshare
from pybuild.runtime.sandbox import isolation

_AT_THE_START = "enter it at the start of the program"


def need_one_thread() -> None:
    """Raise SandboxUnavailable in a process with several threads or a running event loop.

    The kernel refuses a process with threads (EINVAL), but only after the caller has forked, and a fork of such a
    process may wait for ever for a lock that another thread held. An event loop starts threads sooner or later.
    """
    if "asyncio" in sys.modules and _has_event_loop():
        raise SandboxUnavailable("a process with a running event loop cannot enter a user namespace", _AT_THE_START)
    with suppress(FileNotFoundError):
        if len(os.listdir("/proc/self/task")) > 1:
            raise _several_threads()


def _has_event_loop() -> bool:
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:  # none is running
        return False
    return True


def _several_threads() -> SandboxUnavailable:
    return SandboxUnavailable("a process of several threads cannot enter a user namespace", _AT_THE_START)


def enter() -> None:
    """Enter a new user namespace, without any ids yet, and a new mount namespace.

    Raises SandboxUnavailable when the kernel refuses.
    """
    try:
        # A process may only mount in a mount namespace that was made in its own user namespace.
        unshare(CLONE_NEWUSER | CLONE_NEWNS)
    except OSError as error:
        raise _explain(error.errno or EPERM) from error


def _explain(errno: int) -> SandboxUnavailable:
    if errno == ENOSPC:
        command = more_namespaces()
        return SandboxUnavailable("user namespaces are switched off, or their limit is reached", command, command)
    if errno == EINVAL:
        return _several_threads()
    if os.geteuid() == 0:
        return SandboxUnavailable(f"may make no user namespace ({os.strerror(errno).lower()})", isolation.IN_CONTAINER)
    reason = f"this host lets user {os.geteuid()} make no user namespace ({os.strerror(errno).lower()})"
    command = permitting_namespaces()
    if command:
        return SandboxUnavailable(reason, command, command)
    hint = "inside a container, take its seccomp profile off, or run the build as root"
    return SandboxUnavailable(reason, hint, isolation.UNCONFINED)
