"""Builds by an ordinary user."""

import os

from pybuild.builder.api.errors import door
from pybuild.builder.store.directory import default_root
from pybuild.runtime.sandbox import user_namespace


def become_root() -> None:
    """Make the process of an ordinary user root of a user namespace, once and for good. No function here needs it.

    What only root can do is handed over to a process that is root of a user namespace, so a program may have threads
    and build. A program that calls this is that process itself, which saves starting the other one.

    Call it at the start of the program: the process must have one thread and no running event loop. Does nothing for
    root. The user needs 65535 subordinate ids in /etc/subuid and /etc/subgid, and the programs newuidmap and newgidmap.
    The store that is opened by default stays the user's own: its directory becomes $PYBUILD_ROOT, when that is not set.

    Raises:
        errors.SandboxUnavailable: there is another thread or a running event loop, and the process is as it was; or
            this host does not permit it.
    """
    if os.geteuid() == 0:
        return
    with door():
        store = default_root()
        user_namespace.become_root()
        # The default store of root is another one, and child processes would use it.
        os.environ["PYBUILD_ROOT"] = os.fspath(store)
