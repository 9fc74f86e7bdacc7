"""Is this vertex cached? The one place that answers, before anything runs and again when its inputs are solved."""

from collections.abc import Iterable

from pybuild.builder.oci.digest import Digest
from pybuild.builder.plan.ops import Base, Local, Scratch
from pybuild.builder.plan.plan import Plan
from pybuild.builder.solve.freshness import Freshness
from pybuild.builder.solve.keys import VertexKeys
from pybuild.builder.store.cache import BuiltLayer, Layers
from pybuild.builder.store.store import Store


class Lookup:
    """What the store has of *plan*. May be used by several threads, each for vertices of its own."""

    def __init__(self, plan: Plan, store: Store, keys: VertexKeys, freshness: Freshness) -> None:
        self._plan, self._store, self._keys, self._freshness = plan, store, keys, freshness
        self._bases: dict[Base, Layers] = {}
        self.answers: dict[int, Layers] = {}
        """The layers of the vertices that are solved, whether they came from the cache or were made."""

    def answer(self, index: int) -> Layers | None:
        """Return the layers of a vertex that needs no work; None for one that is to be run, or is not known yet."""
        if index not in self.answers:
            layers = self._at_hand(index)
            if layers is None:
                return None
            self.answers[index] = layers
        return self.answers[index]

    def _at_hand(self, index: int) -> Layers | None:
        match self._plan.vertices[index].op:
            case Local():
                return None
            case Scratch():
                return Layers()
            case Base() as op:
                layers = self.base(op)
                return layers if self._here(layers) else None
            case _:
                found = self._under_key(index)
                return self._on_root(index) if found is None else found

    def _under_key(self, index: int) -> Layers | None:
        """Return what is recorded under the key of a vertex, with the blobs that its base has now.

        The base may have been compressed anew since the record.
        """
        if index not in self._keys.keys or not self._admits(index):
            return None
        layers = self._record(index, self._keys.keys[index])
        if layers is None:
            return None
        op = self._plan.vertices[self.base_of(index)].op
        below = self.base(op) if isinstance(op, Base) else Layers()
        return Layers((*below, *layers[len(below) :]))

    def _on_root(self, index: int) -> Layers | None:
        """Return the layer that a vertex has on any root, on top of its own, when that is solved."""
        root = self.root(index)
        layers = None if root is None else self.own_layer(index)
        if root is None or layers is None:
            return None
        self._keys.settle(index, self._keys.contents[index])
        return self._kept(index, Layers((*root, *layers)))

    def own_layer(self, index: int) -> Layers | None:
        """Return the layer that is recorded under the own key of a vertex: it goes on any root."""
        own = self._keys.own(index)
        return None if own is None or not self._admits(index) else self._record(index, own)

    def _admits(self, index: int) -> bool:
        return self._freshness.admits(index, settled=index in self._keys.settled)

    def _record(self, index: int, key: Digest) -> Layers | None:
        cache = self._store.cache
        layers = cache.record(key)
        if layers is None or not self._counts(layers):
            if self._plan.is_mounted_context(index):
                # Another store has its files with whole seconds; here they are at hand with their times.
                return None
            layers = cache.imported_record(key)
            if layers is None or not self._counts(layers):
                return None
        cache.touch(key)
        return layers

    def _counts(self, layers: Layers) -> bool:
        # A layer of a base comes with the base; what this store made must be there.
        return self._here(layer for layer in layers if layer.created) and self._freshness.is_young(layers)

    def _here(self, layers: Iterable[BuiltLayer]) -> bool:
        return all(self._store.blobs.has(layer.descriptor) for layer in layers)

    def keep(self, index: int, layer: BuiltLayer) -> None:
        """Record the layer that a vertex was given, for this build and for later ones."""
        own = self._keys.own(index)
        if own is not None:
            self._store.cache.put_record(own, Layers([layer]))
        self.answers[index] = self._kept(index, Layers((*(self.root(index) or ()), layer)))

    def _kept(self, index: int, layers: Layers) -> Layers:
        self._store.cache.put_record(self._keys.keys[index], layers)
        return layers

    def root(self, index: int) -> Layers | None:
        """Return the layers of the root file system that a vertex changes; None when they are not known yet."""
        inputs = self._plan.vertices[index].inputs
        return self.answers.get(inputs[0]) if inputs else Layers()

    def base(self, op: Base) -> Layers:
        """Return the layers of a base image, whose blobs need not be there."""
        from pybuild.builder.sources.bases import base_layers

        if op not in self._bases:
            self._bases[op] = base_layers(op, self._store)
        return self._bases[op]

    def base_of(self, index: int) -> int:
        """Return the vertex that the root file system of *index* began with."""
        while self._plan.vertices[index].inputs:
            index = self._plan.vertices[index].inputs[0]
        return index
