"""The files of a container: its file tree, what it changed in that of the image, and its size on disk."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pybuild.builder.containers.catalog import ROOTFS, Containers, StoredContainer, locked
from pybuild.builder.containers.errors import ContainerError
from pybuild.builder.containers.namespace import call_in_containers, check_ids
from pybuild.builder.containers.spec import mount_of
from pybuild.builder.containers.volumes import Volumes
from pybuild.builder.oci.image import Image, read_image
from pybuild.builder.prune.usage import disk_usage
from pybuild.builder.store.cache import image_layers
from pybuild.builder.store.container_holds import read_hold
from pybuild.builder.store.store import Store
from pybuild.builder.store.worker_calls import SendEvent
from pybuild.runtime.monitor.starting import held
from pybuild.runtime.mounted_tree import mounted, running_tree
from pybuild.runtime.paths.safepath import Root
from pybuild.runtime.rootfs import roots
from pybuild.runtime.sandbox import launcher
from pybuild.runtime.sandbox.inside.file_systems import FileSystem
from pybuild.runtime.sandbox.inside.mounts import Bind
from pybuild.runtime.sandbox.isolation import is_direct
from pybuild.runtime.snapshots.change import Change, ChangeKind
from pybuild.runtime.snapshots.overlay_snapshotter import open_root

_LETTERS = {ChangeKind.ADD: "A", ChangeKind.MODIFY: "C", ChangeKind.DELETE: "D"}


def snapshot_of(containers: Containers, container: StoredContainer) -> str | None:
    """Return the name of the snapshot of the container's image, and unpack it if it is missing, as after a reboot."""
    return containers.store.snapshot(_image(containers, container))


def _image(containers: Containers, container: StoredContainer) -> Image:
    return read_image(containers.store.blobs, read_hold(container.directory).image)


@contextmanager
def written_tree(containers: Containers, container: StoredContainer) -> Iterator[int]:
    """Yield a descriptor of the file tree of a container without its mounts: the image and what it wrote, read-only.

    This function and `whole_tree` are called by `namespace.call_in_containers`, where file trees are accessible.
    """
    store = containers.store
    check_ids(container.id, container.config.ids)
    with store.in_use():
        root = store.snapshots.lasting_root(container.directory / ROOTFS, snapshot_of(containers, container))
        if isinstance(root, roots.OverlayRoot) and root.upper is not None:
            # The upper directory becomes one more lower one: the container may run, and two overlays must not share
            # one.
            root = roots.OverlayRoot(lowers=(*root.lowers, root.upper))
        tree = open_root(root, store.root / "tmp")
        try:
            yield tree
        finally:
            os.close(tree)


@contextmanager
def whole_tree(containers: Containers, container: StoredContainer, *, writes: bool) -> Iterator[Root]:
    """Yield the root of the file tree of a container with its mounts, as its processes see it while it runs.

    Mounts that are new at each start are missing when it does not run. *writes* says whether the caller does.
    """
    check_ids(container.id, container.config.ids)
    # Two overlays that write to one upper directory would disturb each other: while the block runs the container is
    # not started, neither again by its monitor nor, where it does not run, by a command.
    with held(container.directory):
        if not container.state.runs:
            mounts = _lasting_mounts(containers, container)
            if not writes and not mounts:
                with written_tree(containers, container) as read_only, Root(os.dup(read_only)) as tree:
                    yield tree
                return
            with locked(container):
                if not container.state.runs:
                    with _stopped_tree(containers, container, mounts) as tree:
                        yield tree
                    return
        with _running_tree(container) as tree:
            yield tree


def _lasting_mounts(containers: Containers, container: StoredContainer) -> list[Bind | FileSystem]:
    places = Volumes(containers.store).places(container)
    made = [launcher.mount_of(mount_of(each, places)) for each in container.config.host.mounts]
    return [each for each in made if isinstance(each, Bind | FileSystem)]


@contextmanager
def _stopped_tree(
    containers: Containers, container: StoredContainer, mounts: Sequence[Bind | FileSystem]
) -> Iterator[Root]:
    store = containers.store
    with store.in_use():
        root = store.snapshots.lasting_root(container.directory / ROOTFS, snapshot_of(containers, container))
        with Root(open_root(root, store.root / "tmp")) as tree, mounted(tree.fd, mounts, store.root / "tmp"):
            yield tree


@contextmanager
def _running_tree(container: StoredContainer) -> Iterator[Root]:
    process = container.state.open_process()
    if process is None:
        raise ContainerError(f"Container {container.id} is not running")
    try:
        with running_tree(process) as tree, Root(os.dup(tree)) as root:
            yield root
    finally:
        os.close(process)


def changes(containers: Containers, container: StoredContainer) -> list[tuple[str, str]]:
    """Return what the container changed: pairs of A (added), C (changed) or D (deleted) and a path, sorted by path."""
    return call_in_containers(_changes, containers.store, container)


def _changes(store: Store, _send_event: SendEvent, container: StoredContainer) -> list[tuple[str, str]]:
    check_ids(container.id, container.config.ids)
    containers = Containers(store)
    with store.in_use():
        layers = image_layers(_image(containers, container))

        def found(parent: str | None) -> list[tuple[str, str]]:
            changed = store.snapshots.lasting_changes(container.directory / ROOTFS, parent)
            return sorted((_shown(each) for each in changed if each.kind in _LETTERS), key=lambda pair: pair[1])

        return store.trees.using(layers, found)


def _shown(change: Change) -> tuple[str, str]:
    return _LETTERS[change.kind], f"/{change.path}"


def size_of(store: Store, path: Path) -> int:
    """Return the disk usage of the tree at *path* in bytes, also when it has files of other owners."""
    try:
        return disk_usage(path)
    except PermissionError:
        if is_direct():
            raise
        return call_in_containers(_size, store, path)


def _size(_store: Store, _send_event: SendEvent, path: Path) -> int:
    return disk_usage(path)


def written_size(store: Store, container: StoredContainer) -> int:
    """Return the disk usage of the files that a container wrote, in bytes."""
    return size_of(store, container.directory / ROOTFS / "fs")


def check_writable(container: StoredContainer, path: str) -> None:
    """Raise ContainerError, with Docker's words, when *path* of a container is on something read-only."""
    whole = f"/{path.strip('/')}/"
    around = [each for each in container.config.host.mounts if whole.startswith(f"{each.target}/")]
    if around and max(around, key=lambda each: len(each.target)).read_only:
        raise ContainerError("mounted volume is marked read-only")
    if not around and container.config.host.read_only:
        raise ContainerError("container rootfs is marked read-only")
