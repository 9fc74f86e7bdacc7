"""Which results of earlier builds count, when the user does not want all of them to."""

import threading
import time
from datetime import datetime

from pybuild.builder.plan.ops import Base, Local, Scratch
from pybuild.builder.plan.plan import Plan
from pybuild.builder.request import Caches
from pybuild.builder.store.cache import Layers


class FirstTimes:
    """Tells who asks for a name first in this build. May be used by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: set[str] = set()

    def is_first(self, name: str) -> bool:
        """Tell whether nobody has asked for *name* before."""
        with self._lock:
            known = len(self._names)
            self._names.add(name)
            return len(self._names) > known


def to_run(plan: Plan, caches: Caches) -> frozenset[int]:
    """Return what no record may answer: steps of ``--no-cache`` and ``--no-cache-filter``, and what stands on them.

    What only copies from them is not among these: when the files turn out to be the same, its record counts.
    """
    if caches.no_cache:
        return frozenset(range(len(plan.vertices)))
    wanted = frozenset(f"stage-{name}" if name.isdecimal() else name.lower() for name in caches.no_cache_filter)
    found: set[int] = set()
    for place, vertex in enumerate(plan.vertices if wanted else ()):
        named = not isinstance(vertex.op, Base | Local | Scratch) and not wanted.isdisjoint(vertex.stages)
        if named or (vertex.inputs and vertex.inputs[0] in found):
            found.add(place)
    return frozenset(found)


def unsettled(plan: Plan, running: frozenset[int]) -> frozenset[int]:
    """Return *running* and what depends on it: only when that has run, a record of theirs may be taken."""
    found = set(running)
    for place, vertex in enumerate(plan.vertices if running else ()):
        if not found.isdisjoint(vertex.inputs):
            found.add(place)
    return frozenset(found)


def is_young(layers: Layers, ttl: float | None) -> bool:
    """Tell whether every layer that a step has made was made within the last *ttl* seconds; None is no limit."""
    if ttl is None:
        return True
    limit = time.time() - ttl
    return all(_seconds(layer.made or layer.created) >= limit for layer in layers if layer.created)


def _seconds(created: str) -> float:
    return datetime.fromisoformat(f"{created[:19]}+00:00").timestamp()
