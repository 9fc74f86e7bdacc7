"""A user namespace that has the id of the user alone, which the kernel permits to everybody.

Inside, the user is root, and every file is root's for the kernel. Whose they are in the image is recorded
(`runtime.ownership`), and steps are told so by a supervisor (`runtime.supervisor`).
"""

from pybuild.runtime.errors import SandboxUnavailable, kernel_reason
from pybuild.runtime.ownership import recording
from pybuild.runtime.sandbox import isolation


def map_own_id(uid: int, gid: int) -> None:
    """Make this process, which was *uid* and *gid* and has just made a user namespace, root of it, and record owners.

    It keeps the groups of the user, since it may not change any.
    """
    # Without the first the kernel permits no map of groups: a group may be what denies access to a file.
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1\n"), ("gid_map", f"0 {gid} 1\n")):
        try:
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)
        except OSError as error:
            reason = f"the kernel maps no id of user {uid}: {kernel_reason(error)}"
            raise SandboxUnavailable(reason, isolation.IN_CONTAINER) from None
    recording.start()
    isolation.entered()
