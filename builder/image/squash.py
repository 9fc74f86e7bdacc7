"""Squashing: one layer for the layers that a build added to its base, or for the whole image."""

from contextlib import ExitStack
from dataclasses import replace

from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.layers.layer import LayerWriter
from pybuild.builder.oci.layers.pack import pack_changes
from pybuild.builder.oci.model import History, ImageConfig
from pybuild.builder.progress import Progress, silent
from pybuild.builder.request import Execution
from pybuild.builder.store.cache import BuiltLayer, Layers
from pybuild.builder.store.store import Store
from pybuild.builder.store.worker_calls import call_in_worker
from pybuild.runtime.paths.safepath import Root
from pybuild.runtime.snapshots.changes import tree_changes

_COMMENT = "squashed by pybuild"
_WAITING = "waiting for another build that squashes the same layers"


def squash(
    config: ImageConfig, layers: Layers, mode: str, execution: Execution, store: Store
) -> tuple[ImageConfig, Layers]:
    """Return the image with one layer for those above its base, or with ``all`` for every one.

    The base is the layers that no step of this store has made. Like with Docker's --squash, the history keeps its
    entries without their layers, and a new last one has the layer. Layers that were merged before come from the cache.
    """
    first = 0 if mode == "all" else next((i for i, layer in enumerate(layers) if layer.created), len(layers))
    merged = layers[first:]
    if len(merged) < 2:
        return config, layers
    key = _key(layers, first, execution)
    with store.locks.exclusive(str(key), waiting=lambda: store.tell(_WAITING)):
        found = store.cache.record(key)
        if found is None or not all(store.blobs.has(layer.descriptor) for layer in found):
            found = Layers([call_in_worker(_merge, store, silent, layers, first, execution)])
            store.cache.put_record(key, found)
        store.cache.touch(key)
    return replace(config, history=_history(config.history, len(merged))), Layers((*layers[:first], *found))


def _key(layers: Layers, first: int, execution: Execution) -> Digest:
    compression = execution.compression
    parts = (first, execution.source_date_epoch, compression.algorithm, compression.level)
    return Digest.of("\n".join(["squash", *map(str, parts), *map(str, layers.diff_ids)]).encode())


def _merge(store: Store, _progress: Progress, layers: Layers, first: int, execution: Execution) -> BuiltLayer:
    with ExitStack() as stack:
        stack.enter_context(store.in_use())
        old = stack.enter_context(Root(store.trees.open(layers[:first]))) if first else None
        new = stack.enter_context(Root(store.trees.open(layers)))
        compression, latest = execution.compression, execution.source_date_epoch
        writer = LayerWriter(store.blobs, compression.algorithm, compression.level, latest=latest)
        stack.enter_context(writer)
        pack_changes(writer, new.fd, tree_changes(old.fd if old else None, new.fd))
        layer = writer.commit()
    blob = layer.descriptor
    return replace(
        layers[-1],
        diff_id=layer.diff_id,
        digest=blob.digest,
        size=blob.size,
        media_type=blob.media_type,
        created=max(layer.created for layer in layers[first:]),
    )


def _history(entries: tuple[History, ...], count: int) -> tuple[History, ...]:
    """Return *entries* with the last *count* that have a layer marked empty, and one for the merged layer."""
    kept = []
    for entry in reversed(entries):
        emptied = count > 0 and not entry.empty_layer
        count -= emptied
        kept.append(replace(entry, empty_layer=True) if emptied else entry)
    return (*reversed(kept), History(comment=_COMMENT))
