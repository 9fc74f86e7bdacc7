"""Limits of the build cache that a store has of its own: ``config.toml`` in its folder.

    [gc]
    until = "168h"
    reserved-space = "5g"
    max-used-space = "20g"
    min-free-space = "10g"

All are optional and mean what the flags of ``prune`` mean. They are kept by ``prune`` without limits of its own, and
after builds, at most once an hour and only when nobody else uses the store.
"""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from builder.commands.tools import warn
from builder.errors import Cancelled, RequestError
from builder.machine import Machine

_EVERY = 3600
_KEYS = ("until", "reserved-space", "max-used-space", "min-free-space")


def tidy(machine: Machine) -> None:
    """Keep the limits of the store after a build. A mistake in the file is a warning: the image is made."""
    path, stamp = machine.root / "config.toml", machine.root / "locks" / "tidied"
    if not path.exists() or _is_recent(stamp):
        return
    from builder import gc
    from builder.commands.prune_flags import policy
    from builder.eviction import evict

    try:
        wanted = policy(store_limits(path))
    except RequestError as error:
        warn(error.message)
        return
    with suppress(Cancelled), machine.locks.exclusive("gc", lambda: True):
        if evict(machine, wanted).records:
            gc.collect(machine)
        stamp.touch(mode=0o600)


def store_limits(path: Path) -> dict[str, Any]:
    """Return the limits in *path* as flags of ``prune``; without a file there are none. Raises RequestError."""
    import tomllib

    try:
        text = path.read_text(encoding="utf-8")
        found = tomllib.loads(text).get("gc", {})
    except FileNotFoundError:
        found = {}
    except (OSError, ValueError) as error:
        raise RequestError(f"{path}: {error}") from error
    unknown = [key for key in found if key not in _KEYS] if isinstance(found, dict) else ["gc"]
    if unknown:
        raise RequestError(f"{path}: unknown setting {unknown[0]!r}", hint=f"[gc] has {', '.join(_KEYS)}")
    for key, value in found.items():
        if not isinstance(value, str):
            raise RequestError(f"{path}: {key}: expected a text", hint='write it as "20g" or "168h"')
    limits = {key.replace("-", "_"): found.get(key) for key in (*_KEYS[1:], "keep-storage")}
    return {"filters": [f"until={found['until']}"] if "until" in found else [], **limits}


def _is_recent(stamp: Path) -> bool:
    try:
        return os.stat(stamp).st_mtime > time.time() - _EVERY
    except FileNotFoundError:
        return False
