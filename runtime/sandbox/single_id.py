"""A user namespace that has the id of the user alone, which the kernel permits to everybody.

Inside, the user is root, and every file is root's for the kernel. Whose they are in the image is recorded
(`runtime.ownership`), and steps are told so by a supervisor (`runtime.supervisor`).
"""

from collections.abc import Callable

from pybuild.runtime.errors import SandboxUnavailable, kernel_reason
from pybuild.runtime.ownership import recording
from pybuild.runtime.sandbox import isolation

NEEDED = {"root": "pivot_root", "proc": "new /proc", "supervisor": "listener for system calls"}
"""Trials, and what they are about: what other rungs may do without, or do not use. Without the first two a step could
see its supervisor, without the last there is none."""


def map_own_id(uid: int, gid: int) -> None:
    """Make this process, which was *uid* and *gid* and has just made a user namespace, root of it, and record owners.

    It keeps the groups of the user, since it may not change any.
    """
    _write_maps(uid, gid)
    _record_owners()


def map_own_id_if_supervised(uid: int, gid: int, unshare: Callable[[], None]) -> bool:
    """Do the same where steps can be supervised; else return False.

    It is tried out in a child, so that this process stays where it is. Only one that is in a new namespace already, to
    which *unshare* brings it otherwise, cannot go back.
    """
    from pybuild.runtime.sandbox.trials import attempt

    if not is_unmapped():
        if attempt(lambda: _try(uid, gid, unshare)):
            return False
        unshare()
        map_own_id(uid, gid)
        return True
    if attempt(lambda: _try(uid, gid)):
        return False
    _record_owners()
    return True


def is_unmapped() -> bool:
    """Return whether this process is in a user namespace that has no ids."""
    with open("/proc/self/uid_map", encoding="ascii") as file:
        return not file.read()


def _try(uid: int, gid: int, unshare: Callable[[], None] = lambda: None) -> None:
    from pybuild.runtime.sandbox.trials import TRIALS, attempt

    unshare()
    _write_maps(uid, gid)
    for name in NEEDED:
        if number := attempt(TRIALS[name]):
            raise OSError(number, name)


def _record_owners() -> None:
    recording.start()
    isolation.note_entered()


def _write_maps(uid: int, gid: int) -> None:
    # Without the first the kernel permits no map of groups: a group may be what denies access to a file.
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1\n"), ("gid_map", f"0 {gid} 1\n")):
        try:
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)
        except OSError as error:
            reason = f"the kernel maps no id of user {uid}: {kernel_reason(error)}"
            raise SandboxUnavailable(reason, isolation.IN_CONTAINER) from None
