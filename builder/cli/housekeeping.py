"""The limits of the build cache that ``config.toml`` in the directory of the store sets.

    [gc]
    until = "168h"
    reserved-space = "5g"
    max-used-space = "20g"
    min-free-space = "10g"

All are optional and mean the same as the flags of ``prune``. Without ``[gc]`` the limits are those of
`default_limits`; an empty ``[gc]`` means none. They are enforced by ``prune`` without flags for limits, and after
builds: at most once an hour, and only when no other process removes data from the store.
"""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pybuild.builder.cli.tools import warn
from pybuild.builder.errors import Cancelled, RequestError, reason
from pybuild.builder.progress import Progress, silent
from pybuild.builder.store.store import Store

if TYPE_CHECKING:
    from pybuild.builder.prune.policy import Policy

_EVERY = 3600
_GB = 10**9
_KEYS = ("until", "reserved-space", "max-used-space", "min-free-space")


def tidy(store: Store) -> None:
    """Enforce the limits of the store after a build. A mistake in the file is a warning, as the image exists."""
    stamp = store.root / "locks" / "tidied"
    if _is_recent(stamp) or (not (store.root / "config.toml").exists() and not may_be_exceeded(store.root)):
        return
    try:
        wanted = limits(store.root)
    except RequestError as error:
        warn(error.message)
        return
    if wanted.is_empty:
        return
    from pybuild.builder.store.inside import among_trees

    among_trees(_keep, store, silent, wanted)


def _keep(store: Store, _progress: Progress, wanted: "Policy") -> None:
    with suppress(Cancelled), store.collecting(lambda: True):
        _evict(store, wanted)
        (store.root / "locks" / "tidied").touch(mode=0o600)


def _evict(store: Store, wanted: "Policy") -> None:
    from pybuild.builder.display.units import human_size
    from pybuild.builder.prune import gc
    from pybuild.builder.prune.eviction import evict

    freed = evict(store, wanted)
    if freed.records:
        freed.add(gc.collect(store))
    told = store.root / "locks" / "limits-told"
    if (freed.records or freed.mounts) and not told.exists():
        # Reported only once, because earlier versions kept everything and users may not expect it.
        gone = f"{freed.records} step results and {len(freed.mounts)} cache mounts ({human_size(freed.size)})"
        warn(
            f"the build cache is limited: removed {gone}, least recently used first, but no images; "
            f"{shown(wanted)}; other limits can be set in {store.root / 'config.toml'}, [gc]"
        )
        told.touch(mode=0o600)


def limits(root: Path) -> "Policy":
    """Return the limits of the store at *root*: its own, else the default ones. Raises RequestError."""
    from pybuild.builder.cli.flags.prune import PruneFlags

    path = root / "config.toml"
    own = store_limits(path)
    return default_limits(root) if own is None else PruneFlags(**own).policy()


def shown(wanted: "Policy") -> str:
    """Return limits in words."""
    from pybuild.builder.display.units import human_size

    parts = (
        ("at most {}", wanted.max_used_space),
        ("{} left free on the disk", wanted.min_free_space),
        ("{} always kept", wanted.reserved_space),
    )
    found = ", ".join(text.format(human_size(size)) for text, size in parts if size is not None)
    return f"limits: {found or 'none'}"


def store_limits(path: Path) -> dict[str, Any] | None:
    """Return the limits in *path* as flags of ``prune``, None when it says nothing of them. Raises RequestError."""
    import tomllib

    try:
        text = path.read_text(encoding="utf-8")
        found = tomllib.loads(text).get("gc")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RequestError(reason(error)) from error
    except ValueError as error:
        raise RequestError(f"{path}: {error}") from error
    if found is None:
        return None
    unknown = [key for key in found if key not in _KEYS] if isinstance(found, dict) else ["gc"]
    if unknown:
        raise RequestError(f"{path}: unknown setting {unknown[0]!r}", hint=f"settings of [gc]: {', '.join(_KEYS)}")
    for key, value in found.items():
        if not isinstance(value, str):
            raise RequestError(f"{path}: {key}: expected a string", hint='write it as "20g" or "168h"')
    sizes = {key.replace("-", "_"): found.get(key) for key in (*_KEYS[1:], "keep-storage")}
    return {"filters": (f"until={found['until']}",) if "until" in found else (), **sizes}


def _is_recent(stamp: Path) -> bool:
    try:
        return os.stat(stamp).st_mtime > time.time() - _EVERY
    except FileNotFoundError:
        return False


def default_limits(root: Path) -> "Policy":
    """Return the limits of a store at *root* that sets none. Like BuildKit's, they are shares of its disk."""
    from pybuild.builder.prune.policy import Policy

    status = os.statvfs(root)
    size = status.f_blocks * status.f_frsize
    return Policy(
        reserved_space=min(size // 10, 10 * _GB),
        max_used_space=min(size * 6 // 10, 100 * _GB),
        min_free_space=size // 5,
    )


def may_be_exceeded(root: Path) -> bool:
    """Return whether the cache can be over its default limits, judged by the disk alone; False saves a scan."""
    status = os.statvfs(root)
    limits = default_limits(root)
    used = (status.f_blocks - status.f_bfree) * status.f_frsize
    free = status.f_bavail * status.f_frsize
    return limits.room(used, free) < used
