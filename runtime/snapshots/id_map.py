"""The id map of this process, which decides what owners the files of a snapshot have on the disk.

A file of user 1 of an image belongs to user 1 of the host when root unpacks it, and to another one in each user
namespace. Trees that were made under one map have wrong owners under another, so each map has its own set of trees.
"""

import hashlib
from functools import cache
from pathlib import Path

from pybuild.runtime.errors import UnmappedOwner
from pybuild.runtime.ownership.record import is_begun
from pybuild.runtime.snapshots.changes import overlay_xattr_prefix

_FILES = ("uid_map", "gid_map")
_ALL = "0:0+4294967295"  # every id is itself; the last number of 32 bits is no id


@cache
def id_map(proc: Path = Path("/proc/self")) -> str:
    """Return the maps of this process, such as ``0:1000+1,1:100000+65536/...``: of users, then of groups."""
    return "/".join(_ranges((proc / name).read_text(encoding="ascii")) for name in _FILES)


def is_host_map(found: str) -> bool:
    """Return whether *found* is the map of a process whose ids are those of the host."""
    return found == f"{_ALL}/{_ALL}"


def is_of_user(found: str) -> bool:
    """Return whether root under the map *found* is an ordinary user outside."""
    return not found.startswith("0:0+")


def tree_suffix(*, overlay: bool) -> str:
    """Return the suffix of the name of the directory for trees under the map of this process, "" for the host's root.

    That of overlays also depends on their extended attributes: whiteouts and opaque directories that root of a user
    namespace marked are not recognised by the host's root.
    """
    found = id_map()
    # A whole tree has no such attributes, so it is the same for both prefixes.
    attributes = overlay_xattr_prefix() if overlay else "trusted.overlay."
    if is_host_map(found) and attributes.startswith("trusted."):
        return ""
    return "-" + hashlib.sha256(f"{found} {attributes if overlay else ''}".encode()).hexdigest()[:12]


def check_owner(uid: int, gid: int, what: str) -> None:
    """Check that this process has ids for an owner of *what*.

    Raises:
        UnmappedOwner: it has none, as in a user namespace with fewer ids than an image has owners.
    """
    if is_begun():  # owners are recorded beside the files, and need no ids here
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
    """Return the lines of a map as INSIDE:OUTSIDE+COUNT; lines that continue each other become one range."""
    joined: list[list[int]] = []
    for line in text.splitlines():
        inside, outside, count = map(int, line.split())
        last = joined[-1] if joined else None
        if last is not None and (last[0] + last[2], last[1] + last[2]) == (inside, outside):
            last[2] += count
        else:
            joined.append([inside, outside, count])
    return ",".join(f"{inside}:{outside}+{count}" for inside, outside, count in joined)
