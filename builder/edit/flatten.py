"""The tree of an image as one layer."""

import os
from dataclasses import replace

from pybuild.builder.edit.documents import ImageDocuments, Members, layer_members
from pybuild.builder.edit.rebase import BASE_DIGEST, BASE_NAME, BUILD_CACHES
from pybuild.builder.oci.image import Image
from pybuild.builder.oci.layers.host_entry import entry_of, image_xattrs
from pybuild.builder.oci.layers.layer import Layer, LayerWriter
from pybuild.builder.oci.layers.pack import pack_changes
from pybuild.builder.progress import silent
from pybuild.builder.request import Compression
from pybuild.builder.store.cache import image_layers
from pybuild.builder.store.store import Store
from pybuild.builder.store.worker_calls import SendEvent, call_in_worker
from pybuild.runtime.paths.walk import open_beneath
from pybuild.runtime.snapshots.changes import tree_changes


def flattened(documents: ImageDocuments, layer: Layer) -> ImageDocuments:
    """Return the documents of the image with *layer* instead of all its layers, and with its creation time.

    Annotations that name a base, and build caches in the config, are removed: they refer to the old layers.
    """
    entry = {"created": documents.config.get("created"), "created_by": "pybuild flatten"}
    history = [{key: value for key, value in entry.items() if value}]
    made = documents.with_layers([layer_members(layer)], [str(layer.diff_id)], history)
    annotations: Members = documents.manifest.get("annotations") or {}
    kept = {key: value for key, value in annotations.items() if key not in {BASE_DIGEST, BASE_NAME}}
    config = {key: value for key, value in made.config.items() if key not in BUILD_CACHES}
    return replace(made, config=config).with_annotations(kept)


def write_tree(store: Store, image: Image, compression: Compression) -> Layer:
    """Store the tree of *image* as a layer; the same tree gives the same layer.

    Names are in byte order; the first of several hard links is the file. The root directory gets no time, because an
    image need not have one, and that of the snapshot would depend on this store.
    """
    return call_in_worker(_write, store, silent, image, compression)


def _write(store: Store, _send_event: SendEvent, image: Image, compression: Compression) -> Layer:
    tree = store.trees.open(image_layers(image))
    try:
        with LayerWriter(store.blobs, compression.algorithm, compression.level) as writer:
            _add_root(writer, tree)
            pack_changes(writer, tree, tree_changes(None, tree))
            return writer.commit()
    finally:
        os.close(tree)


def _add_root(writer: LayerWriter, tree: int) -> None:
    fd = open_beneath(tree, "")
    try:
        entry = entry_of("", os.fstat(fd), xattrs=image_xattrs(fd))
    finally:
        os.close(fd)
    if entry is not None:
        writer.add(entry._replace(mtime=0))
