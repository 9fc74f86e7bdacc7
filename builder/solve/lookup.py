"""What the store has of a plan already: layers of bases, and records that may count."""

from collections.abc import Collection, Iterable

from pybuild.builder.oci.digest import Digest
from pybuild.builder.plan.ops import Base
from pybuild.builder.plan.plan import Plan
from pybuild.builder.store.cache import BuiltLayer, Layers
from pybuild.builder.store.freshness import is_young
from pybuild.builder.store.store import Store


class Lookup:
    """What the store knows of *plan*: nothing of the vertices in *to_run*, no record older than *ttl* seconds."""

    def __init__(self, plan: Plan, store: Store, to_run: Collection[int], ttl: float | None) -> None:
        self._plan, self._store, self._to_run, self._ttl = plan, store, to_run, ttl
        self._bases: dict[Base, Layers] = {}

    def base(self, op: Base) -> Layers:
        """Return the layers of a base image, whose blobs need not be there."""
        from pybuild.builder.sources.bases import base_layers

        if op not in self._bases:
            self._bases[op] = base_layers(op, self._store)
        return self._bases[op]

    def here(self, layers: Iterable[BuiltLayer]) -> bool:
        """Tell whether the blobs of *layers* are all there."""
        return all(self._store.blobs.has(layer.descriptor) for layer in layers)

    def of_root(self, place: int, key: Digest) -> Layers | None:
        """Return what is recorded under the key of a vertex, on its base as that is now."""
        layers = self._record(key, place)
        return None if layers is None else self._on_this_base(place, layers)

    def of_layer(self, place: int, own: Digest | None) -> Layers | None:
        """Return the layer that is recorded under the own key of a vertex: it goes on any root."""
        return None if own is None or place in self._to_run else self._record(own, place)

    def base_of(self, place: int) -> int:
        """Return the vertex that the root file system of *place* began with."""
        while self._plan.vertices[place].inputs:
            place = self._plan.vertices[place].inputs[0]
        return place

    def _record(self, wanted: Digest, place: int) -> Layers | None:
        cache = self._store.cache
        layers = cache.record(wanted)
        if layers is None or not self._counts(layers):
            if self._plan.is_mounted_context(place):
                # Another store has its files with whole seconds; here they are at hand with their times.
                return None
            layers = cache.brought(wanted)
            if layers is None or not self._counts(layers):
                return None
        cache.touch(wanted)
        return layers

    def _counts(self, layers: Layers) -> bool:
        # A layer of a base comes with the base; what this store made must be there.
        return self.here(layer for layer in layers if layer.created) and is_young(layers, self._ttl)

    def _on_this_base(self, place: int, layers: Layers) -> Layers:
        """Return *layers* with the blobs that the base has now: it may have been compressed anew since the record."""
        op = self._plan.vertices[self.base_of(place)].op
        below = self.base(op) if isinstance(op, Base) else Layers()
        return Layers((*below, *layers[len(below) :]))
