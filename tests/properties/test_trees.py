"""What the index says of a stack of layers is what is there once they are unpacked."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pybuild.builder.content.trees import EmptyTree, IndexTree, SnapshotTree
from pybuild.builder.store.store import open_store
from pybuild.runtime.paths.safepath import Root
from tests.builder.content.test_trees import directory, layer_of, member

NAMES = ("a", "b")
PATHS = [*NAMES, *(f"{one}/{two}" for one in NAMES for two in NAMES)]
PATHS += [f"{path}/{name}" for path in PATHS if "/" in path for name in NAMES]
KINDS = st.sampled_from(["file", "folder", "link"])
STACKS = st.lists(st.dictionaries(st.sampled_from(PATHS), KINDS, max_size=5), min_size=1, max_size=4)


def completed(tree):
    """*tree* with all that lies above its paths made directories."""
    above = {path[: -len(path.rpartition("/")[2]) - 1] for path in tree if "/" in path}
    above |= {path.partition("/")[0] for path in above}
    return tree | dict.fromkeys(above, "folder")


def entry(path, kind, number):
    if kind == "folder":
        return directory(path, uid=number, mtime=number)
    if kind == "link":
        return member(path, b"2", linkname="a", mode=0o777, mtime=number)
    return member(path, uid=number, mtime=number)


def changes(old, new, number, opaque):
    """The members of a layer that makes *new* out of *old*; directories in *opaque* are written as a whole."""
    for path in sorted(old):
        parent = path.rpartition("/")[0]
        if path not in new and (not parent or (parent in new and new[parent] == "folder")) and parent not in opaque:
            yield member(f"{parent}/.wh.{path.rpartition('/')[2]}".lstrip("/"))
    for path in sorted(new):
        yield entry(path, new[path], number)
        if path in opaque and new[path] == "folder":
            yield member(f"{path}/.wh..wh..opq")


@settings(max_examples=40)
@given(STACKS, st.sets(st.sampled_from(PATHS), max_size=2))
def test_the_index_and_the_snapshot_of_a_stack_agree(stack, opaque):
    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYBUILD_SNAPSHOTTER", "copying")
        store = open_store(Path(place) / "store")
        old, layers = {}, []
        for number, tree in enumerate(map(completed, stack)):
            layers.append(layer_of(store, *changes(old, tree, number, opaque)))
            old = tree
            # What was found in the stack so far is known when the next layer is on top of it.
            names = store.times.names_of(layers)
            index = IndexTree(tuple(layers), names, store.database, store.blobs, EmptyTree())
            with Root(store.snapshots.open(store.trees.unpack(tuple(layers)))) as root:
                snapshot = SnapshotTree(root)
                for path in PATHS:
                    parent = path.rpartition("/")[0]
                    if not parent or old.get(parent) == "folder":
                        assert index.lstat(path) == snapshot.lstat(path)
        store.close()
