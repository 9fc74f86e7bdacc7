"""Enforcing the limits of the build cache after a build, when they are due (`builder.prune.policy`).

That is done only when no other process removes data from the store.
"""

from contextlib import suppress

from pybuild.builder.cli.tools import warn
from pybuild.builder.errors import Cancelled, RequestError
from pybuild.builder.progress import Progress, silent
from pybuild.builder.prune.policy import STAMP, Policy, limits
from pybuild.builder.store.store import Store


def tidy(store: Store) -> None:
    """Enforce the limits of the store after a build. A mistake in config.toml is a warning: the build succeeded."""
    try:
        wanted = limits(store.root)
    except RequestError as error:
        warn(error.message)
        return
    if wanted.is_empty:
        return
    from pybuild.builder.store.worker_calls import call_in_worker_if_unpacked

    call_in_worker_if_unpacked(_keep, store, silent, wanted)


def _keep(store: Store, _progress: Progress, wanted: Policy) -> None:
    # Gives up at once where another process collects: it need not be done twice, and the build is not to wait.
    with suppress(Cancelled), store.collecting(lambda: True):
        _evict(store, wanted)
        (store.root / STAMP).touch(mode=0o600)


def _evict(store: Store, wanted: Policy) -> None:
    from pybuild.builder.display.units import human_size
    from pybuild.builder.prune import gc
    from pybuild.builder.prune.eviction import evict

    freed = evict(store, wanted)
    if freed.records:
        freed.add(gc.collect(store))
    marker = store.root / "locks" / "limits-told"
    if (freed.records or freed.mounts) and not marker.exists():
        # Reported only once, because earlier versions kept everything and users may not expect it.
        gone = f"{freed.records} step results and {len(freed.mounts)} cache mounts ({human_size(freed.size)})"
        warn(
            f"the build cache is limited: removed {gone}, least recently used first, but no images; "
            f"{shown(wanted)}; other limits can be set in {store.root / 'config.toml'}, [gc]"
        )
        marker.touch(mode=0o600)


def shown(policy: Policy) -> str:
    """Return limits in words."""
    from pybuild.builder.display.units import human_size

    parts = (
        ("at most {}", policy.max_used_space),
        ("{} left free on the disk", policy.min_free_space),
        ("{} always kept", policy.reserved_space),
    )
    found = ", ".join(text.format(human_size(size)) for text, size in parts if size is not None)
    return f"limits: {found or 'none'}"
