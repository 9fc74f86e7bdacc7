"""Which records may answer, when the user does not want all of them to."""

import threading
import time
from datetime import datetime

from pybuild.builder.plan.ops import Base, Local, Scratch
from pybuild.builder.plan.plan import Plan
from pybuild.builder.request import Caches
from pybuild.builder.store.cache import Layers


class Freshness:
    """Tells which records count for the vertices of a plan: ``--no-cache``, ``--no-cache-filter``, ``--cache-ttl``."""

    def __init__(self, plan: Plan, caches: Caches) -> None:
        self.to_run = _to_run(plan, caches)
        """Vertices that no record may answer for: they run."""
        self._unsettled = _unsettled(plan, self.to_run)
        self._ttl = caches.cache_ttl

    def admits(self, index: int, *, settled: bool) -> bool:
        """Return whether a record may answer for a vertex; *settled* says that its inputs are solved."""
        return index not in (self.to_run if settled else self._unsettled)

    def is_young(self, layers: Layers) -> bool:
        """Return whether every layer that a step has made was made within the time that counts."""
        if self._ttl is None:
            return True
        limit = time.time() - self._ttl
        return all(_seconds(layer.made or layer.created) >= limit for layer in layers if layer.created)


class FirstTimes:
    """Tells who asks for a name first in this build. May be used by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: set[str] = set()

    def is_first(self, name: str) -> bool:
        """Return whether nobody has asked for *name* before."""
        with self._lock:
            known = len(self._names)
            self._names.add(name)
            return len(self._names) > known


def _to_run(plan: Plan, caches: Caches) -> frozenset[int]:
    """Return the steps of ``--no-cache`` and ``--no-cache-filter``, and what stands on them.

    What only copies from them is not among these: when the files turn out to be the same, its record counts.
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
    """Return *running* and what depends on it: only when that has run, a record of theirs may be taken."""
    found = set(running)
    for index, vertex in enumerate(plan.vertices if running else ()):
        if not found.isdisjoint(vertex.inputs):
            found.add(index)
    return frozenset(found)


def _seconds(created: str) -> float:
    return datetime.fromisoformat(f"{created[:19]}+00:00").timestamp()
