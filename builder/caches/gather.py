"""The cache of a finished build for other stores: the records of its vertices, and what their selections contain."""

from collections.abc import Iterator, Mapping

from pybuild.builder.caches.document import Mount, Remembered
from pybuild.builder.oci.digest import Digest
from pybuild.builder.plan.keys import picks, selection_key
from pybuild.builder.plan.ops import Base, Local, Scratch
from pybuild.builder.plan.plan import Finished, Plan
from pybuild.builder.store.cache import Layers
from pybuild.builder.store.store import Store


def gather(finished: Finished, store: Store, *, everything: bool, mounts: tuple[Mount, ...] = ()) -> Remembered:
    """Return the cache content of a plan that was solved.

    With *everything* (``mode=max``) it has every vertex, else only those whose layers the images have. Layers that this
    build did not need are fetched from the imported caches, so that an exported cache is complete.
    """
    plan, keys = finished.plan, finished.keys
    chains = {place for target in finished.targets for place in _chain(plan, target)}
    records: dict[Digest, Layers] = {}
    for place in range(len(plan.vertices)) if everything else sorted(chains):
        if place not in keys or isinstance(plan.vertices[place].op, Base | Local | Scratch):
            continue
        if plan.is_mounted_context(place):
            continue  # every build has these files itself, with their exact times
        layers = _record(keys[place], store)
        if layers is not None:
            records[keys[place]] = layers
            if place in finished.own_keys:
                # The layer is the same on any rootfs, but this store may lack the record of the layer alone.
                records[finished.own_keys[place]] = Layers(layers[-1:])
    return Remembered(records=records, selections=_selections(plan, keys, store), mounts=mounts)


def _chain(plan: Plan, place: int) -> Iterator[int]:
    """Yield *place* and the vertices below it that its rootfs builds on."""
    yield place
    while plan.vertices[place].inputs:
        place = plan.vertices[place].inputs[0]
        yield place


def _record(key: Digest, store: Store) -> Layers | None:
    layers = store.cache.record(key)
    if layers is not None and all(store.blobs.has(layer.descriptor) for layer in layers if layer.created):
        return layers
    return store.cache.imported_record(key)


def _selections(plan: Plan, keys: Mapping[int, Digest], store: Store) -> dict[Digest, Digest]:
    found = {}
    for vertex in plan.vertices:
        for pick in picks(vertex.op):
            source = vertex.inputs[pick.input]
            if source not in keys:
                continue
            key = selection_key(vertex.op, pick, keys[source])
            content = store.cache.selection(key)
            if content is not None:
                found[key] = content
    return found
