"""The builder's side of supervision: the settings for a step's supervisor, and the owners that it recorded.

The supervisor itself is started by the guard of the sandbox (`inside/supervision.py`).
"""

import os

from pybuild.runtime.errors import SandboxUnavailable
from pybuild.runtime.kernel.capabilities import DEFAULT
from pybuild.runtime.rootfs.roots import OverlayRoot
from pybuild.runtime.sandbox.spec import Spec
from pybuild.runtime.supervisor.values import Supervision

_MORE = "use a user with subordinate ids, or root"


def supervision_of(sandbox: Spec) -> Supervision:
    """Return how the process of *sandbox* is supervised.

    Raises:
        SandboxUnavailable: it has additional privileges, or there is no supervisor for this machine.
    """
    from pybuild.runtime.ownership.recording import table
    from pybuild.runtime.sandbox.inside.notification_filter import notifying, of_supervisor

    if sandbox.insecure or sandbox.capabilities & ~DEFAULT or sandbox.seccomp is not None:
        # With CAP_SYS_ADMIN, for one, the process could mount, so that a path leads the supervisor to other files.
        raise SandboxUnavailable("isolation single has no other capabilities and filters than the usual ones", _MORE)
    special = table().entries()
    program, calls = notifying(os.uname().machine, keeping=bool(special), executing=not sandbox.no_new_privileges)
    upper = os.fsencode(sandbox.root.upper) if isinstance(sandbox.root, OverlayRoot) and sandbox.root.upper else b""
    return Supervision(calls, sandbox.capabilities, of_supervisor(), program, special, upper)


def record_owners(lines: list[str]) -> None:
    """Store the owners of files that can have no extended attribute, as reported by a child: see `Status.owner`."""
    if lines:
        from pybuild.runtime.ownership.recording import table

        numbers = (map(int, line.split()) for line in lines)
        table().add((inode, born, uid, gid) for inode, born, uid, gid in numbers)
