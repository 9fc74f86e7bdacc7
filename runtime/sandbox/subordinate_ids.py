"""The ids that an ordinary user may have beside its own: /etc/subuid and /etc/subgid.

Apart from what else a host permits, because a worker reads them at its start, which somebody waits for.
"""

import os
from pathlib import Path
from typing import NamedTuple


class IdMap(NamedTuple):
    """*length* ids from *inside* on are those of the host from *outside* on."""

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
    try:
        names = {str(uid), pwd.getpwuid(uid).pw_name}
    except KeyError:
        names = {str(uid)}
    return [(start, count) for name, start, count in all_ranges(path) if name in names]


def all_ranges(path: Path) -> list[tuple[str, int, int]]:
    """Return (user, first id, count) of each line of *path* (/etc/subuid, /etc/subgid); of none when it is missing."""
    try:
        lines = [line.split(":") for line in path.read_text().splitlines()]
    except OSError:
        return []
    found = [(fields[0], *fields[1:]) for fields in lines if len(fields) == 3 and all(map(str.isdigit, fields[1:]))]
    return [(name, int(start), int(count)) for name, start, count in found]


def free_range(count: int, *paths: Path) -> str:
    """Return a range of *count* ids that nobody has in any of *paths*, as usermod takes it."""
    ends = [start + length for path in paths for _, start, length in all_ranges(path)]
    first = max([100_000, *(-(-end // count) * count for end in ends)])
    return f"{first}-{first + count - 1}"
