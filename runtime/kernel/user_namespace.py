"""Whether this process is in the initial user namespace: that of the host, in which user 0 is the real root."""

import os

_OWN_MAP = "/proc/self/uid_map"
_ALL_IDS = ["0", "0", "4294967295"]
"""The only line of the initial namespace's map: all ids but the last, which is -1 and no id, stand for themselves."""


def in_initial_namespace(uid_map: str | os.PathLike[str] = _OWN_MAP) -> bool:
    """Return whether *uid_map* is the map of the initial user namespace.

    It is read each time, because a process may enter another namespace. The kernel has no direct way to ask: inodes of
    ``/proc/self/ns/user`` can be compared, but a container does not see that of the host.
    """
    with open(uid_map, encoding="ascii") as file:
        return file.read().split() == _ALL_IDS
