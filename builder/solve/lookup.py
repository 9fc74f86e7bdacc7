"""Looking up vertices in the cache: before anything is executed, and again when the inputs of a vertex are solved.

`Freshness` decides which records a build may use: ``--no-cache``, ``--no-cache-filter`` and ``--cache-ttl``.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from pybuild.builder.oci.digest import Digest
from pybuild.builder.plan.ops import Base, Local, Scratch
from pybuild.builder.plan.plan import Plan
from pybuild.builder.request import Caches
from pybuild.builder.solve.keys import VertexKeys
from pybuild.builder.store.cache import BuiltLayer, Layers
from pybuild.builder.store.store import Store
from pybuild.runtime.values import frozen

Executor = Callable[[Any], BuiltLayer]
"""Executes the op of a `builder.execute.job.Work` for a vertex that is not cached, and returns the new layer."""


@frozen
class Uncached:
    """The vertices to execute, or to look up again once their inputs are solved."""

    waits_for: Mapping[int, tuple[int, ...]]
    """Each of these vertices, with those that must be solved before it."""
    independent: frozenset[int]
    """Those of them whose own layer is cached and fits on any rootfs, as that of COPY --link (`keys.own_key`)."""


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


class Lookup:
    """Finds the layers of the vertices of *plan*. Several threads may use it, each for its own vertices."""

    def __init__(self, plan: Plan, store: Store, keys: VertexKeys, freshness: Freshness) -> None:
        self.plan, self.store, self.keys, self.freshness = plan, store, keys, freshness
        self._bases: dict[Base, Layers] = {}
        self._base_of: list[int] = []
        self.solved: dict[int, Layers] = {}
        """The layers of solved vertices, by index, as long as another vertex or the result needs them."""
        self._users: Counter[int] = Counter()
        self._lock = threading.Lock()

    def expect(self, indexes: Iterable[int], targets: Iterable[int]) -> None:
        """Count the users of each vertex among *indexes*, so that `release_inputs` can drop layers that nothing uses.

        A vertex has all layers below its own, so without this, memory would grow with the square of the number of
        vertices. The layers of *targets* are always kept.
        """
        self._users.update(targets)
        for index in indexes:
            self._users.update(set(self.plan.vertices[index].inputs))

    def put(self, index: int, layers: Layers) -> None:
        """Set the layers of a vertex that has been solved."""
        self.solved[index] = layers

    def release_inputs(self, index: int) -> None:
        """Forget the layers of those inputs of a vertex that no other vertex will use."""
        with self._lock:
            for source in set(self.plan.vertices[index].inputs):
                self._users[source] -= 1
                if not self._users[source]:
                    self.solved.pop(source, None)

    def find(self, index: int) -> Layers | None:
        """Return the layers of a vertex; None when it is not cached, or its key is not known yet."""
        if index not in self.solved:
            layers = self._find(index)
            if layers is None:
                return None
            self.solved[index] = layers
        return self.solved[index]

    def _find(self, index: int) -> Layers | None:
        match self.plan.vertices[index].op:
            case Local():
                return None
            case Scratch():
                return Layers()
            case Base() as op:
                layers = self.base(op)
                return layers if self._has_blobs(layers) else None
            case _:
                found = self._recorded(index)
                return self._relink(index) if found is None else found

    def _recorded(self, index: int) -> Layers | None:
        """Return the layers that the record of a vertex names, on the current layers of its base.

        The base may have been pulled again in another compression since the record was written. Its layers have other
        digests then, and the same content.
        """
        if index not in self.keys.by_index or not self._admits(index):
            return None
        layers = self._lookup(index, self.keys.by_index[index])
        if layers is None:
            return None
        op = self.plan.vertices[self.base_of(index)].op
        below = self.base(op) if isinstance(op, Base) else Layers()
        return Layers((*below, *layers[len(below) :]))

    def _relink(self, index: int) -> Layers | None:
        """Return the independent layer of a vertex on top of its rootfs, once that is solved, and record the result."""
        rootfs = self.rootfs(index)
        layers = None if rootfs is None else self.independent_layer(index)
        if rootfs is None or layers is None:
            return None
        self.keys.settle(index, self.keys.contents[index])
        return self._put(index, Layers((*rootfs, *layers)))

    def independent_layer(self, index: int) -> Layers | None:
        """Return the layer of a vertex that does not depend on its rootfs (COPY --link), None when none is recorded."""
        own = self.keys.own(index)
        return None if own is None or not self._admits(index) else self._lookup(index, own)

    def _admits(self, index: int) -> bool:
        return self.freshness.admits(index, settled=index in self.keys.settled)

    def _lookup(self, index: int, key: Digest) -> Layers | None:
        cache = self.store.cache
        layers = cache.record(key)
        if layers is None or not self._is_usable(layers):
            if self.plan.is_mounted_context(index):
                # A mounted context has exact times, and an imported layer has only whole seconds.
                return None
            layers = cache.imported_record(key)
            if layers is None or not self._is_usable(layers):
                return None
        cache.touch(key)
        return layers

    def _is_usable(self, layers: Layers) -> bool:
        # Only layers with a time of creation were made by a build; those of a base are pulled with the base.
        return self._has_blobs(layer for layer in layers if layer.created) and self.freshness.is_young(layers)

    def _has_blobs(self, layers: Iterable[BuiltLayer]) -> bool:
        return all(self.store.blobs.has(layer.descriptor) for layer in layers)

    def record(self, index: int, layer: BuiltLayer) -> None:
        """Record the new *layer* of a vertex for this build and later ones."""
        own = self.keys.own(index)
        if own is not None:
            self.store.cache.put_record(own, Layers([layer]))
        self.solved[index] = self._put(index, Layers((*(self.rootfs(index) or ()), layer)))

    def _put(self, index: int, layers: Layers) -> Layers:
        self.store.cache.put_record(self.keys.by_index[index], layers)
        return layers

    def rootfs(self, index: int) -> Layers | None:
        """Return the layers of the rootfs that a vertex changes; None when it is not solved yet."""
        inputs = self.plan.vertices[index].inputs
        return self.solved.get(inputs[0]) if inputs else Layers()

    def layer_of(self, index: int) -> BuiltLayer | None:
        """Return the layer that a solved vertex made; None for a base, and while it is not known."""
        layers = () if isinstance(self.plan.vertices[index].op, Base) else self.solved.get(index)
        return layers[-1] if layers else None

    def base(self, op: Base) -> Layers:
        """Return the layers of a base image. Their blobs need not be in the store yet."""
        from pybuild.builder.sources.bases import base_layers

        if op not in self._bases:
            self._bases[op] = base_layers(op, self.store)
        return self._bases[op]

    def base_of(self, index: int) -> int:
        """Return the index of the base image, or of `scratch`, that the rootfs of *index* starts from."""
        if not self._base_of:
            bases: list[int] = []
            for number, vertex in enumerate(self.plan.vertices):
                bases.append(bases[vertex.inputs[0]] if vertex.inputs else number)
            self._base_of = bases
        return self._base_of[index]


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
