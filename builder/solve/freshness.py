"""The records of the cache that a build may use: ``--no-cache``, ``--no-cache-filter`` and ``--cache-ttl``."""

import threading
import time
from datetime import datetime

from pybuild.builder.plan.ops import Base, Local, Scratch
from pybuild.builder.plan.plan import Plan
from pybuild.builder.request import Caches
from pybuild.builder.store.cache import Layers


class Freshness:
    """Decides which records may be used for the vertices of a plan."""

    def __init__(self, plan: Plan, caches: Caches) -> None:
        self.to_run = _to_run(plan, caches)
        """Vertices that are executed although they may be cached."""
        self._unsettled = _unsettled(plan, self.to_run)
        self._ttl = caches.cache_ttl

    def admits(self, index: int, *, settled: bool) -> bool:
        """Return whether a record may be used for a vertex. *settled* says whether its inputs are solved.

        A vertex that depends on one of `to_run` may be looked up only then: its inputs may be different this time.
        """
        return index not in (self.to_run if settled else self._unsettled)

    def is_young(self, layers: Layers) -> bool:
        """Return whether all layers that steps made are younger than ``--cache-ttl``."""
        if self._ttl is None:
            return True
        limit = time.time() - self._ttl
        return all(_seconds(layer.made or layer.created) >= limit for layer in layers if layer.created)


class FirstTimes:
    """Names that were used in this build. Several threads may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: set[str] = set()

    def is_first(self, name: str) -> bool:
        """Return True for the first call with *name*, False for later ones."""
        with self._lock:
            known = len(self._names)
            self._names.add(name)
            return len(self._names) > known


def _to_run(plan: Plan, caches: Caches) -> frozenset[int]:
    """Return the vertices of ``--no-cache`` and ``--no-cache-filter``, and those that have them in their rootfs.

    A vertex that only copies files from them is not included: when the files are the same, its record is used.
    """
    if caches.no_cache:
        return frozenset(range(len(plan.vertices)))
    wanted = frozenset(f"stage-{name}" if name.isdecimal() else name.lower() for name in caches.no_cache_filter)
    found: set[int] = set()
    for index, vertex in enumerate(plan.vertices if wanted else ()):
        named = not isinstance(vertex.op, Base | Local | Scratch) and not wanted.isdisjoint(vertex.stages)
        if named or (vertex.inputs and vertex.inputs[0] in found):
            found.add(index)
    return frozenset(found)


def _unsettled(plan: Plan, running: frozenset[int]) -> frozenset[int]:
    """Return *running* and all vertices that depend on it, directly or not."""
    found = set(running)
    for index, vertex in enumerate(plan.vertices if running else ()):
        if not found.isdisjoint(vertex.inputs):
            found.add(index)
    return frozenset(found)


def _seconds(created: str) -> float:
    return datetime.fromisoformat(f"{created[:19]}+00:00").timestamp()
