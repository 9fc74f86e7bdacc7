"""Limits of the build cache where the user set none: those of BuildKit, shares of the disk that the store is on.

kept in any case    10 % of the disk, at most 10 GB
at most             60 % of the disk, at most 100 GB
left free           20 % of the disk
"""

import os
from pathlib import Path

from pybuild.builder.prune.eviction import Policy

_GB = 10**9


def default_limits(root: Path) -> Policy:
    """Return the limits of a store at *root*."""
    status = os.statvfs(root)
    size = status.f_blocks * status.f_frsize
    return Policy(
        reserved_space=min(size // 10, 10 * _GB),
        max_used_space=min(size * 6 // 10, 100 * _GB),
        min_free_space=size // 5,
    )


def may_be_exceeded(root: Path) -> bool:
    """Tell whether the cache may be over its default limits, by the disk alone: whether it pays to look."""
    status = os.statvfs(root)
    limits = default_limits(root)
    used = (status.f_blocks - status.f_bfree) * status.f_frsize
    free = status.f_bavail * status.f_frsize
    return limits.room(used, free) < used
