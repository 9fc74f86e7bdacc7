"""A layer whose archive names a path twice, written again with each path once.

A copy of several sources, or an archive, may bring one path more than once; the last one counts. Every program that
unpacks such a layer gets that right, but ``docker load`` refuses it: the record that it keeps of an archive
(tar-split) holds a path once. So the layer is unpacked, and what it changed becomes the layer, as after a RUN.
"""

from pybuild.builder.execute.job import Work
from pybuild.builder.oci.layers.layer import Layer, LayerWriter
from pybuild.builder.oci.layers.pack import pack_changes
from pybuild.runtime.paths.safepath import Root


def without_repeats(layer: LayerWriter, work: Work, *, on_root: bool) -> Layer:
    """Write what *layer*, which is not committed, changes in the root file system of the step, or in an empty one."""
    snapshots = work.store.snapshots
    with work.store.unpacking(work.unpack(work.job.root) if on_root else None) as unpacking, work.writer() as again:
        with layer.reread() as stream:
            unpacking.layer(stream, None, layer.nanoseconds)
        with Root.open_host(unpacking.active.folder) as folder:
            pack_changes(again, folder.fd, snapshots.changes(unpacking.active))
        return again.commit()
