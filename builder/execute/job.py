"""What an op may use while it is carried out."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from builder.cache import BuiltLayer, Layers
from builder.contents import Selected
from builder.image import timestamp
from builder.machine import Machine
from builder.oci.digest import Digest
from builder.oci.layer import Layer, LayerWriter
from builder.oci.model import chain_ids
from builder.request import Request
from builder.trees import EmptyTree, IndexTree, SnapshotTree, Tree
from runtime.safepath import Root


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One op at work. *root* is the root file system it changes, *selected* what its picks select, in order."""

    machine: Machine
    request: Request
    root: Layers
    inputs: tuple[Layers | None, ...]
    """Layers of all inputs, None for a folder of the host."""
    selected: tuple[Selected, ...]
    output: Callable[[int, bytes], None]
    cancel: threading.Event

    def writer(self) -> LayerWriter:
        """Begin the layer."""
        compression = self.request.compression
        return LayerWriter(self.machine.blobs, compression.algorithm, compression.level)

    def built(self, layer: Layer) -> BuiltLayer:
        """Return the record of a finished layer."""
        epoch = self.request.source_date_epoch
        created = timestamp(None if epoch is None else epoch * 1_000_000_000)
        descriptor = layer.descriptor
        return BuiltLayer(str(layer.diff_id), str(descriptor.digest), descriptor.size, descriptor.media_type, created)

    def unpack(self, layers: Layers) -> str | None:
        """Return the snapshot of *layers*, unpacking what is missing."""
        return self.machine.unpack(layers, self.cancel.is_set)

    @contextmanager
    def tree(self) -> Iterator[Tree]:
        """Look into the root file system, without unpacking it unless it is unpacked already."""
        if not self.root:
            yield EmptyTree()
            return
        name = chain_ids(tuple(Digest.parse(layer.diff_id) for layer in self.root))[-1]
        if not self.machine.snapshots.exists(name):
            yield IndexTree(self.root, self.machine.database, self.machine.blobs)
            return
        with self.unpacked() as root:
            yield SnapshotTree(root)

    @contextmanager
    def unpacked(self) -> Iterator[Root]:
        """Open the unpacked root file system."""
        with Root(self.machine.snapshots.open(self.unpack(self.root))) as root:
            yield root
