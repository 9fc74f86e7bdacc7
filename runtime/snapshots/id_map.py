"""Whose ids the files of snapshots have: those of the host, or others that a user namespace makes of them.

A file that belongs to user 1 of an image has another owner on the disk under each map. Trees that were made under one
mean nothing under another, so each map has trees of its own, side by side.
"""

import hashlib
from functools import cache
from pathlib import Path

from pybuild.runtime.errors import UnmappedOwner
from pybuild.runtime.ownership.record import is_begun
from pybuild.runtime.snapshots.changes import overlay_xattr_prefix

_FILES = ("uid_map", "gid_map")
_ALL = "0:0+4294967295"


@cache
def id_map(proc: Path = Path("/proc/self")) -> str:
    """Return the maps of this process, such as ``0:1000+1,1:100000+65536/...``: of users, then of groups."""
    return "/".join(_ranges((proc / name).read_text(encoding="ascii")) for name in _FILES)


def is_host_map(found: str) -> bool:
    """Return whether *found* is the map of a process whose ids are those of the host."""
    return found == f"{_ALL}/{_ALL}"


def is_of_user(found: str) -> bool:
    """Return whether root of *found* is an ordinary user of the host."""
    return not found.startswith("0:0+")


def tree_suffix(*, overlay: bool) -> str:
    """Return what the name of a directory of trees ends with, "" for those of the host's root.

    Their overlays differ in attributes, too: what root of a user namespace hides is not hidden for that of the host.
    """
    found = id_map()
    attributes = overlay_xattr_prefix() if overlay else "trusted.overlay."
    if is_host_map(found) and attributes.startswith("trusted."):
        return ""
    return "-" + hashlib.sha256(f"{found} {attributes if overlay else ''}".encode()).hexdigest()[:12]


def check_owner(uid: int, gid: int, what: str) -> None:
    """Check that this process has ids for an owner of *what*.

    Raises:
        UnmappedOwner: it has none, as in a user namespace with fewer ids than an image has owners.
    """
    if is_begun():  # owners are recorded, and are no ids
        return
    users, _, groups = id_map().partition("/")
    for kind, number, ranges in (("user", uid, users), ("group", gid, groups)):
        spans = [_span(part) for part in ranges.split(",")]
        if not any(number in span for span in spans):
            raise UnmappedOwner(what, kind, number, max(span[-1] for span in spans))


def _span(part: str) -> range:
    inside, _, rest = part.partition(":")
    return range(int(inside), int(inside) + int(rest.partition("+")[2]))


def _ranges(text: str) -> str:
    """Return the lines of a map as ranges, those that continue each other as one."""
    joined: list[list[int]] = []
    for line in text.splitlines():
        inside, outside, count = map(int, line.split())
        last = joined[-1] if joined else None
        if last is not None and (last[0] + last[2], last[1] + last[2]) == (inside, outside):
            last[2] += count
        else:
            joined.append([inside, outside, count])
    return ",".join(f"{inside}:{outside}+{count}" for inside, outside, count in joined)
