"""Cache mounts in exported caches: packed as a layer by an export, unpacked into a store that does not have them yet.

The content of a cache mount is part of no key, so this changes how fast a step is, never whether it runs.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from pybuild.builder.caches.document import Mount
from pybuild.builder.errors import reason
from pybuild.builder.oci.errors import OciError
from pybuild.builder.oci.layers.layer import LayerWriter
from pybuild.builder.oci.layers.pack import pack_changes
from pybuild.builder.oci.layers.unpack import unpack
from pybuild.builder.plan.ops import Base, CacheMount, Local, Run, Scratch
from pybuild.builder.plan.plan import Finished
from pybuild.builder.sources.bases import base_layers
from pybuild.builder.store.cache import BuiltLayer, Layers
from pybuild.builder.store.store import Store
from pybuild.runtime.paths.filelock import remove_tree
from pybuild.runtime.paths.safepath import Root
from pybuild.runtime.snapshots.changes import tree_changes

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def mount_names(finished: Finished, store: Store, is_wanted: Callable[[str], bool]) -> tuple[str, ...]:
    """Return the names of the cache mounts of a plan whose ids satisfy *is_wanted*, each once.

    The name of a mount that starts with files of an image or a stage (``from``) contains their layers; it is left out
    when they are unknown, because no step of this build needed them.
    """
    from pybuild.builder.execute.cache_mounts import cache_name, origin

    names: dict[str, None] = {}
    for vertex in finished.plan.vertices:
        mounts = vertex.op.mounts if isinstance(vertex.op, Run) else ()
        for mount in mounts:
            if not isinstance(mount, CacheMount) or not is_wanted(mount.id or mount.target):
                continue
            layers = Layers() if mount.input < 0 else _layers(finished, vertex.inputs[mount.input], store)
            if layers is not None:
                names[cache_name(mount) + origin(mount, layers)] = None
    return tuple(names)


def _layers(finished: Finished, index: int, store: Store) -> Layers | None:
    match finished.plan.vertices[index].op:
        case Base() as op:
            return base_layers(op, store)
        case Scratch() | Local():
            return Layers()
        case _:
            return store.cache.record(finished.keys[index]) if index in finished.keys else None


def packed(names: Iterable[str], store: Store, warn: Callable[[str], None]) -> Iterator[Mount]:
    """Yield the content of these cache mounts; one that cannot be packed, or changes meanwhile, gives a warning.

    One that this store does not have, because no step needed it, is taken from the imported caches.
    """
    from pybuild.builder.execute.cache_mounts import present_mount

    for name in names:
        try:
            with store.locks.exclusive(f"make {name}", waiting=partial(_wait, store, name)):
                directory = present_mount(name, store)
            if directory is not None:
                yield _pack(name, directory, store)
        except (OciError, OSError) as error:
            warn(f"{name} is not exported: {reason(error)}")


def _pack(name: str, directory: Path, store: Store) -> Mount:
    with (
        # Steps with sharing=locked hold this lock. Others may write meanwhile: a file that changes ends the packing.
        store.locks.exclusive(name, waiting=partial(_wait, store, name)),
        Root.open_host(directory) as root,
        LayerWriter(store.blobs) as writer,
    ):
        found = os.fstat(root.fd)
        pack_changes(writer, root.fd, tree_changes(None, root.fd))
        layer = writer.commit()
    descriptor = layer.descriptor
    built = BuiltLayer(layer.diff_id, descriptor.digest, descriptor.size, descriptor.media_type)
    return Mount(name=name, layer=built, mode=found.st_mode & 0o7777, uid=found.st_uid, gid=found.st_gid)


def _wait(store: Store, name: str) -> None:
    store.tell(f"waiting for a step that uses the {name}")


def unpack_mount(mount: Mount, directory: Path, store: Store) -> None:
    """Create *directory*, which does not exist, with the content of the cache mount. The caller holds its lock.

    Raises:
        OciError, OSError: the layer cannot be unpacked; *directory* does not exist then.
    """
    new = directory.with_name(f"new-{directory.name}")
    directories = os.open(directory.parent, _DIRECTORY)
    try:
        remove_tree(directories, new.name)  # left by a builder that was killed
        new.mkdir(mode=0o700)
        handle = os.open(new, _DIRECTORY)
        with Root(handle) as root, store.blobs.open(mount.layer.descriptor) as stream:
            unpack(stream, root.fd, overlay=False, diff_id=mount.layer.diff_id)
            os.fchown(root.fd, mount.uid, mount.gid)
            os.fchmod(root.fd, mount.mode)
        new.rename(directory)
    finally:
        remove_tree(directories, new.name)
        os.close(directories)
