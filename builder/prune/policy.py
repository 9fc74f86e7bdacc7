"""What may be removed from a store, and how much. A module of its own, because every build reads it.

The limits of the build cache are those that ``config.toml`` in the directory of the store sets:

    [gc]
    until = "168h"
    reserved-space = "5g"
    max-used-space = "20g"
    min-free-space = "10g"

All are optional and mean the same as the flags of ``prune``. Without ``[gc]`` the limits are those of
`default_limits`; an empty ``[gc]`` means none.
"""

import os
import time
from pathlib import Path

from pybuild.builder.errors import RequestError, reason
from pybuild.runtime.paths.filesystems import UNCOUNTED, disk_space
from pybuild.runtime.values import frozen

_GB = 10**9
_SIZES = ("reserved-space", "max-used-space", "min-free-space")
_EVERY = 3600
"""Seconds from one time that the limits are enforced to the next."""
STAMP = "locks/tidied"
"""The file in a store whose time is when its limits were enforced last."""
REGULAR, CACHE_MOUNT = "regular", "exec.cachemount"


@frozen
class Policy:
    """What may be removed, and how much; sizes in bytes. Without a limit of size all of it is removed."""

    until: float | None = None
    """Only data that was not used for this many seconds."""
    reserved_space: int | None = None
    """The cache is never made smaller than this."""
    max_used_space: int | None = None
    min_free_space: int | None = None
    kind: str = ""
    """Only ``regular``, results of steps, or ``exec.cachemount``, cache mounts; "" is both."""

    def takes(self, is_mount: bool) -> bool:
        """Return whether cache mounts, or records, may be removed."""
        return not self.kind or self.kind == (CACHE_MOUNT if is_mount else REGULAR)

    @property
    def is_empty(self) -> bool:
        """Whether there is no filter and no limit."""
        return self == Policy()

    @property
    def is_sized(self) -> bool:
        """Whether there is a limit of size."""
        return (self.reserved_space, self.max_used_space, self.min_free_space) != (None, None, None)

    def room(self, used: int, free: int) -> int:
        """Return how many of its *used* bytes the cache may keep when the disk has *free* bytes left."""
        limits = []
        if self.max_used_space is not None:
            limits.append(self.max_used_space)
        if self.min_free_space is not None:
            limits.append(used - max(0, self.min_free_space - free))
        return max(min(limits, default=0), self.reserved_space or 0)


def limits(root: Path) -> Policy:
    """Return the limits of the store at *root*: its own, else the default ones. Raises RequestError."""
    own = _own_limits(root / "config.toml")
    return default_limits(root) if own is None else own


def _own_limits(path: Path) -> Policy | None:
    """Return the limits in *path*, None when it says nothing of them. Raises RequestError."""
    # Every build reads this module, but few stores have such a file.
    import tomllib

    from pybuild.builder.options import duration, size_of

    try:
        found = tomllib.loads(path.read_text(encoding="utf-8")).get("gc")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RequestError(reason(error)) from error
    except ValueError as error:
        raise RequestError(f"{path}: {error}") from error
    if found is None:
        return None
    keys = ("until", *_SIZES)
    unknown = [key for key in found if key not in keys] if isinstance(found, dict) else ["gc"]
    if unknown:
        raise RequestError(f"{path}: unknown setting {unknown[0]!r}", hint=f"settings of [gc]: {', '.join(keys)}")
    for key, value in found.items():
        if not isinstance(value, str):
            raise RequestError(f"{path}: {key}: expected a string", hint='write it as "20g" or "168h"')
    reserved, most, free = (size_of(f"{path}: {key}", found.get(key)) for key in _SIZES)
    until = duration(f"{path}: until", found["until"]) if "until" in found else None
    return Policy(until=until, reserved_space=reserved, max_used_space=most, min_free_space=free)


def default_limits(root: Path) -> Policy:
    """Return the limits of a store at *root* that sets none. Like BuildKit's, they are shares of its disk."""
    size, _ = disk_space(root)
    return Policy(
        reserved_space=min(size // 10, 10 * _GB),
        max_used_space=min(size * 6 // 10, 100 * _GB),
        min_free_space=size // 5 if size != UNCOUNTED else None,
    )


def is_due(root: Path) -> bool:
    """Return whether the limits of the store at *root* are to be enforced after a build: once an hour at most.

    The default limits are enforced only on a disk that is so full that the cache may exceed them.
    """
    try:
        # A time in the future is that of a clock that was set back since, and says nothing.
        if 0 <= time.time() - os.stat(root / STAMP).st_mtime < _EVERY:
            return False
    except FileNotFoundError:
        pass
    return (root / "config.toml").exists() or _may_be_exceeded(root)


def _may_be_exceeded(root: Path) -> bool:
    """Return whether the cache can be over its default limits, judged by the disk alone; False saves a scan."""
    size, free = disk_space(root)
    if size == UNCOUNTED:
        return True
    status = os.statvfs(root)
    # The cache cannot take more than all files of its disk together.
    used = (status.f_blocks - status.f_bfree) * status.f_frsize
    return default_limits(root).room(used, free) < used
