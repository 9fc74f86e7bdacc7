"""Whether this process is in the initial user namespace: that of the host, where user 0 is the real root."""

import os

_OWN_MAP = "/proc/self/uid_map"
_ALL_IDS = ["0", "0", "4294967295"]
"""The only line of the initial namespace's map: ids are the same inside and outside. The last one, -1, names nobody."""


def in_initial_namespace(uid_map: str | os.PathLike[str] = _OWN_MAP) -> bool:
    """Return whether *uid_map* is the map of the initial user namespace.

    A process may enter another one, so the answer is read anew each time. The kernel offers no direct question: the
    inode numbers of ``/proc/self/ns/user`` compare namespaces, and a container cannot see that of the host.
    """
    with open(uid_map, encoding="ascii") as file:
        return file.read().split() == _ALL_IDS
