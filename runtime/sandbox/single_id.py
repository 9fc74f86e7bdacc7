"""A user namespace that maps one id only, that of the user. The kernel lets every user make one.

Inside, the user is root, and to the kernel all files belong to root. The owners that they have in the image are
recorded (`runtime.ownership`), and a supervisor shows these to the processes of a step (`runtime.supervisor`).
"""

from collections.abc import Callable

from pybuild.runtime.advice import permitting_namespaces
from pybuild.runtime.errors import SandboxUnavailable, kernel_reason
from pybuild.runtime.ownership import recording
from pybuild.runtime.sandbox import isolation

NEEDED = {"root": "pivot_root", "supervisor": "listener for system calls"}
"""Trials that must succeed for isolation single, and what they are about, in words.

Other rungs may do without them. Without the first a step could leave its root, and without the other there is no
supervisor.
"""


def map_own_id(uid: int, gid: int) -> None:
    """Make this process root of the user namespace that it has just made, and begin to record owners.

    *uid* and *gid* are those that it had outside. It keeps its groups, which a process may not change there.
    """
    _write_maps(uid, gid)
    _start_recording()


def map_own_id_if_supervised(uid: int, gid: int, unshare: Callable[[], None]) -> bool:
    """Do `map_own_id` if steps can be supervised here, and return whether they can.

    A child tries it first, so that this process keeps its user namespace when they cannot. If this process is in a new
    user namespace already, it stays there in both cases; otherwise *unshare* makes one.
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
    # The child has written the maps, which belong to the namespace and not to the process.
    _start_recording()
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


def _start_recording() -> None:
    recording.start()
    isolation.note_entered()


def _write_maps(uid: int, gid: int) -> None:
    # The kernel accepts a gid_map only after setgroups is denied, because a mode may deny access to a group, which a
    # process could else leave (user_namespaces(7)).
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1\n"), ("gid_map", f"0 {gid} 1\n")):
        try:
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)
        except OSError as error:
            reason = f"the kernel maps no id of user {uid}: {kernel_reason(error)}"
            # Since Linux 5.12 only a root with CAP_SETFCAP can give its own id to a namespace.
            command = isolation.WITH_SETFCAP if uid == 0 else permitting_namespaces()
            raise SandboxUnavailable(reason, command or isolation.IN_CONTAINER, command) from None
