"""The ids that an ordinary user may use in addition to its own: /etc/subuid and /etc/subgid.

Not part of `privileges`, because a worker needs this at its start, which a user waits for, and nothing else of it.
"""

import os
from pathlib import Path
from typing import NamedTuple


class IdMap(NamedTuple):
    """A line of a uid_map: the *length* ids from *inside* on are those from *outside* on of the parent namespace."""

    inside: int
    outside: int
    length: int


def subordinate_ids(path: Path, own: int) -> tuple[IdMap, ...]:
    """Return the map that *path* (/etc/subuid, /etc/subgid) allows this user: itself as 0, then the ranges."""
    maps = [IdMap(0, own, 1)]
    for start, count in _ranges(path):
        maps.append(IdMap(maps[-1].inside + maps[-1].length, start, count))
    return tuple(maps)


def _ranges(path: Path) -> list[tuple[int, int]]:
    import pwd

    uid = os.geteuid()
    # A line names its user by name or by number (subuid(5)).
    try:
        names = {str(uid), pwd.getpwuid(uid).pw_name}
    except KeyError:
        names = {str(uid)}
    return [(start, count) for name, start, count in all_ranges(path) if name in names]


def all_ranges(path: Path) -> list[tuple[str, int, int]]:
    """Return (user, first id, count) for each line of *path*; nothing when it is missing or cannot be read."""
    try:
        lines = [line.split(":") for line in path.read_text().splitlines()]
    except OSError:  # missing: nobody has subordinate ids
        return []
    found = [(fields[0], *fields[1:]) for fields in lines if len(fields) == 3 and all(map(str.isdigit, fields[1:]))]
    return [(name, int(start), int(count)) for name, start, count in found]


def free_range(count: int, *paths: Path) -> str:
    """Return a range of *count* ids that no user has in any of *paths*, in the form FIRST-LAST of usermod(8)."""
    # From 100,000 on, where useradd(8) begins (SUB_UID_MIN in login.defs(5)), and at a multiple of *count*.
    ends = [start + length for path in paths for _, start, length in all_ranges(path)]
    first = max([100_000, *(-(-end // count) * count for end in ends)])
    return f"{first}-{first + count - 1}"
