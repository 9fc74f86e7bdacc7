"""The changes from an image to a tree of files, as a layer."""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from typing import BinaryIO

from pybuild.builder.edit.documents import ImageDocuments, layer_members
from pybuild.builder.errors import BuildError, RequestError
from pybuild.builder.oci.archive.files import are_of_images
from pybuild.builder.oci.errors import LayerError
from pybuild.builder.oci.image import Image
from pybuild.builder.oci.layers.layer import Layer, LayerWriter
from pybuild.builder.oci.layers.pack import pack_changes
from pybuild.builder.oci.layers.unpack import unpack
from pybuild.builder.request import Compression
from pybuild.builder.store.cache import image_layers
from pybuild.builder.store.store import Store
from pybuild.runtime.paths.safepath import Root
from pybuild.runtime.snapshots.change import Change, ChangeKind
from pybuild.runtime.snapshots.changes import tree_changes

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_MARKS = (".dockerenv", "run/.containerenv")
"""Files at the top of an archive that comes from a container."""
_FILES = frozenset({*_MARKS, "dev/console", "etc/hosts", "etc/hostname", "etc/resolv.conf"})
"""Files that an engine mounts into every container, so that `docker commit` does not include them."""
_MADE = frozenset({"dev", "dev/pts", "dev/shm", "etc/mtab", "proc", "sys"})
_TOUCHED = frozenset({"dev", "etc", "run"})
"""Directories whose time changed because such a file was put into them."""


@contextmanager
def unpacked_archive(store: Store, stream: BinaryIO) -> Iterator[int]:
    """Yield a descriptor of the unpacked tar archive, which is removed after the block.

    Raises:
        BuildError: it is not an archive, is malicious, or is empty.
    """
    active = store.snapshots.prepare(None)
    try:
        fd = os.open(active.directory, _DIRECTORY)
        try:
            _unpack(stream, fd)
            yield fd
        finally:
            os.close(fd)
    finally:
        store.snapshots.discard(active)


def _unpack(stream: BinaryIO, directory: int) -> None:
    try:
        count = unpack(stream, directory, overlay=False, diff_id=None).entries
    except LayerError as error:
        raise BuildError(f"failed to unpack the archive: {error}") from error
    if not count:
        raise RequestError("the archive is empty: expected a root file system")


def store_difference(store: Store, image: Image, tree: int, compression: Compression) -> Layer | None:
    """Store the changes from *image* to the tree of the descriptor *tree*; None when there are none.

    Files that the tree lacks are deleted. Files that an engine puts into every container are not changes. Type, mode,
    owner, time in whole seconds, extended attributes and content are compared.

    Raises:
        RequestError: the tree is an unpacked image archive.
        LayerError: a file changes meanwhile, or has a name that no layer can hold.
    """
    if are_of_images(_names(tree)):
        raise RequestError("this is an image archive or layout, not a root file system", hint="use pybuild load for it")
    old = store.trees.open(image_layers(image))
    try:
        changes = tree_changes(old, tree, whole_seconds=True)
        if _is_container(tree):
            changes = _without_container_files(changes, old, tree)
        first = next(changes, None)
        if first is None:
            return None
        with LayerWriter(store.blobs, compression.algorithm, compression.level) as writer:
            pack_changes(writer, tree, chain([first], changes))
            return writer.commit()
    finally:
        os.close(old)


def _names(tree: int) -> list[str]:
    fd = os.open(".", _DIRECTORY, dir_fd=tree)  # the given descriptor may be one of O_PATH, which cannot be listed
    try:
        return os.listdir(fd)
    finally:
        os.close(fd)


def with_difference(documents: ImageDocuments, layer: Layer | None, entry: Mapping[str, str]) -> ImageDocuments:
    """Return the documents with *layer* on top, if there is one, and *entry*, whose time becomes that of the image."""
    layers, diff_ids = documents.layers, documents.diff_ids
    history_entry: dict[str, object] = {**entry, "empty_layer": True}
    if layer is not None:
        layers, diff_ids, history_entry = [*layers, layer_members(layer)], [*diff_ids, str(layer.diff_id)], dict(entry)
    made = documents.with_layers(layers, diff_ids, (*documents.history, history_entry))
    author = {"author": entry["author"]} if entry.get("author") else {}
    return replace(made, config={**made.config, "created": entry["created"], **author})


def _is_container(tree: int) -> bool:
    """Return whether the tree of the descriptor *tree* was the rootfs of a container."""
    return any(_status(tree, mark) is not None for mark in _MARKS)


def _without_container_files(changes: Iterable[Change], old: int, new: int) -> Iterator[Change]:
    """Yield *changes* from the tree *old* to the tree *new*, without those that the engine made."""
    for change in changes:
        made = change.path in _MADE and change.kind is ChangeKind.ADD
        touched = change.path in _TOUCHED and change.kind is ChangeKind.MODIFY and _is_touched(change.path, old, new)
        if not (change.path in _FILES or made or touched):
            yield change


def _is_touched(path: str, old: int, new: int) -> bool:
    before, after = _status(old, path), _status(new, path)
    if before is None or after is None or not stat.S_ISDIR(before.st_mode):
        return False
    return (before.st_mode, before.st_uid, before.st_gid) == (after.st_mode, after.st_uid, after.st_gid)


def _status(root: int, path: str) -> os.stat_result | None:
    with Root.at(root) as tree:
        return tree.stat(path, follow=False)
