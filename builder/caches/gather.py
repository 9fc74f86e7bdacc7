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
    chains = {index for target in finished.targets for index in _chain(plan, target)}
    records: dict[Digest, Layers] = {}
    for index in range(len(plan.vertices)) if everything else sorted(chains):
        if index not in keys or isinstance(plan.vertices[index].op, Base | Local | Scratch):
            continue
        if plan.is_mounted_context(index):
            continue  # every build has these files itself, with their exact times
        layers = _record(keys[index], store)
        if layers is not None:
            records[keys[index]] = layers
            if index in finished.own_keys:
                # The layer is the same on any rootfs, but this store may lack the record of the layer alone.
                records[finished.own_keys[index]] = Layers(layers[-1:])
    return Remembered(records=records, selections=_selections(plan, keys, store), mounts=mounts)


def _chain(plan: Plan, index: int) -> Iterator[int]:
    """Yield *index* and the vertices below it that its rootfs builds on."""
    yield index
    while plan.vertices[index].inputs:
        index = plan.vertices[index].inputs[0]
        yield index


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
