import gzip
import io
import tarfile

import pytest

from pybuild.builder.content.trees import EmptyTree, IndexTree, NodeKind, SnapshotTree, TreeNode, resolve
from pybuild.builder.errors import BuildError
from pybuild.builder.oci import media
from pybuild.builder.oci.digest import Digest
from pybuild.builder.store.cache import BuiltLayer
from pybuild.builder.store.database import Database
from pybuild.runtime.paths.safepath import Root


class DictTree:
    """A tree of links (text), files (None) and directories (True)."""

    def __init__(self, entries):
        self.entries = {"": True} | entries
        self.asked = []

    def lstat(self, path):
        self.asked.append(path)
        if path not in self.entries:
            return None
        found = self.entries[path]
        if found is True:
            return TreeNode(NodeKind.DIRECTORY)
        return TreeNode(NodeKind.FILE) if found is None else TreeNode(NodeKind.LINK, link=found)


TREE = {
    "usr": True,
    "usr/lib": True,
    "usr/lib/f": None,
    "lib": "usr/lib",
    "abs": "/usr/lib",
    "up": "../../../usr",
    "usr/here": "lib/./f",
    "dangling": "no/where",
    "chain": "lib",
    "loop": "loop2",
    "loop2": "loop",
    "self": "/",
    "file": None,
}


@pytest.mark.parametrize(
    ("path", "real", "kind"),
    [
        ("usr/lib/f", "usr/lib/f", NodeKind.FILE),
        ("lib/f", "usr/lib/f", NodeKind.FILE),
        ("abs/f", "usr/lib/f", NodeKind.FILE),
        ("up/lib", "usr/lib", NodeKind.DIRECTORY),
        ("usr/here", "usr/lib/f", NodeKind.FILE),
        ("chain/new/deep", "usr/lib/new/deep", None),
        ("dangling", "no/where", None),
        ("dangling/x", "no/where/x", None),
        ("lib/../x", "usr/x", None),
        ("self/self/file", "file", NodeKind.FILE),
        ("..", "", NodeKind.DIRECTORY),
        ("", "", NodeKind.DIRECTORY),
        ("/usr//lib/./", "usr/lib", NodeKind.DIRECTORY),
        ("file/x", "file/x", None),
        ("no/../usr", "usr", NodeKind.DIRECTORY),
    ],
)
def test_links_are_resolved_inside_the_tree_wherever_they_point(path, real, kind):
    found, node = resolve(DictTree(TREE), path)
    assert found == real
    assert (node.kind if node else None) == kind


def test_links_that_go_in_circles_are_an_error():
    with pytest.raises(BuildError, match="too many links"):
        resolve(DictTree(TREE), "loop/x")


def test_a_tree_is_never_asked_for_a_path_through_a_link():
    tree = DictTree(TREE)
    resolve(tree, "chain/f")
    assert not [path for path in tree.asked if path.startswith(("chain/", "lib/"))]


def test_the_empty_tree_has_nothing_but_its_root():
    assert EmptyTree().lstat("") == TreeNode(NodeKind.DIRECTORY)
    assert EmptyTree().lstat("x") is None


def member(name, kind=tarfile.REGTYPE, **fields):
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = kind, 0o755 if kind == tarfile.DIRTYPE else 0o644
    for field, value in fields.items():
        setattr(entry, field, value)
    return entry


def layer_of(store, *members):
    """A stored layer of these members."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for entry in members:
            archive.addfile(entry)
    blob = store.blobs.put(gzip.compress(buffer.getvalue(), mtime=0), media.OCI_LAYER_GZIP)
    return BuiltLayer(Digest.of(buffer.getvalue()), blob.digest, blob.size, blob.media_type)


def directory(name, **fields):
    return member(name, tarfile.DIRTYPE, **fields)


def index_of(store, *layers):
    return IndexTree(layers, store.times.names_of(layers), store.database, store.blobs, EmptyTree())


def test_an_index_knows_what_a_layer_says_of_each_path(store):
    layer = layer_of(
        store,
        directory("d", mode=0o1777, uid=5, gid=6, mtime=7),
        member("d/f"),
        member("d/l", tarfile.SYMTYPE, linkname="/x/\udcff"),
        member("d/h", tarfile.LNKTYPE, linkname="d/f"),
        member("d/p", tarfile.FIFOTYPE),
    )
    tree = index_of(store, layer)
    assert tree.lstat("d") == TreeNode(NodeKind.DIRECTORY, 0o1777, 5, 6, 7)
    kinds = [tree.lstat(f"d/{name}").kind for name in "flhp"]
    assert kinds == [NodeKind.FILE, NodeKind.LINK, NodeKind.FILE, NodeKind.OTHER]
    assert tree.lstat("d/l").link == "/x/\udcff"
    assert tree.lstat("nowhere") is None


def test_an_upper_layer_hides_what_it_replaces_or_deletes(store):
    below = layer_of(store, directory("a"), member("a/x"), directory("b"), member("b/x"), directory("c"), member("c/x"))
    above = layer_of(store, member(".wh.a"), member("b"), directory("c"), member("c/.wh..wh..opq"), member("c/new"))
    tree = index_of(store, below, above)
    assert tree.lstat("a") is None
    assert tree.lstat("a/x") is None
    assert tree.lstat("b").kind == NodeKind.FILE
    assert tree.lstat("b/x") is None
    assert tree.lstat("c").kind == NodeKind.DIRECTORY
    assert tree.lstat("c/x") is None
    assert tree.lstat("c/new").kind == NodeKind.FILE


def test_what_was_found_counts_for_layers_above_unless_they_say_otherwise(store):
    below = layer_of(store, directory("a", uid=1), member("a/x"), directory("b"), member("c"))
    over = layer_of(store, member("a/y"), member(".wh.b"))
    top = layer_of(store, member("b/new"), member("c", b"2", linkname="a"))
    paths = ("", "a", "a/x", "a/y", "b", "b/new", "c")
    apart = []
    for layers in ((below,), (below, over), (below, over, top)):
        apart.append([index_of(store, *layers).lstat(path) for path in paths])
        store.database.close()  # nothing is kept
    together = [[index_of(store, *layers).lstat(path) for path in paths] for layers in ((below,), (below, over))]
    tree = index_of(store, below, over, top)
    assert [*together, [tree.lstat(path) for path in paths]] == apart
    assert [tree.lstat(path) for path in paths] == apart[-1]
    assert (tree.lstat("a").uid, tree.lstat("b"), tree.lstat("c").kind) == (
        1,
        TreeNode(NodeKind.DIRECTORY),
        NodeKind.LINK,
    )


def test_an_index_that_another_process_has_removed_is_made_again(store):
    layer = layer_of(store, directory("d", uid=3), member("d/f"))
    assert index_of(store, layer).lstat("d").uid == 3
    other = Database(store.root / "pybuild.db")
    other.clear()
    other.end()
    assert index_of(store, layer).lstat("d").uid == 3
    assert index_of(store, layer).lstat("d/f").kind == NodeKind.FILE


def test_directories_that_a_layer_has_no_entry_for_are_there(store):
    tree = index_of(store, layer_of(store, member("a/dir/x"), member("a/l", tarfile.SYMTYPE, linkname="/real")))
    assert (tree.lstat("a"), tree.lstat("a/dir")) == (TreeNode(NodeKind.DIRECTORY), TreeNode(NodeKind.DIRECTORY))
    assert resolve(tree, "a/l/f") == ("real/f", None)


@pytest.mark.parametrize("names", [("d/keep", ".wh.d"), (".wh.d", "d/keep")])
def test_a_whiteout_hides_what_is_below_its_layer_and_nothing_of_the_layer_itself(store, names):
    below = layer_of(store, member("d/sub/x"))
    above = layer_of(store, *(member(name) for name in names))
    tree = index_of(store, below, above)
    assert tree.lstat("d/sub") is None
    assert tree.lstat("d").kind == NodeKind.DIRECTORY
    assert tree.lstat("d/keep").kind == NodeKind.FILE


def test_a_layer_is_listed_once(store):
    layer = layer_of(store, member("f"))
    assert index_of(store, layer).lstat("f") is not None
    store.blobs.remove(layer.descriptor.digest)
    assert index_of(store, layer).lstat("f") is not None


def test_a_snapshot_tells_the_same_as_the_index(store):
    layer = layer_of(
        store,
        directory("d", mode=0o1777, uid=5, gid=6, mtime=7),
        member("d/f", mode=0o4755, uid=1, mtime=8),
        member("d/l", tarfile.SYMTYPE, linkname="/x", mode=0o777, mtime=9),
        member("d/p", tarfile.FIFOTYPE, mtime=9),
    )
    name = store.trees.unpack((layer,))
    index = index_of(store, layer)
    with Root(store.snapshots.open(name)) as root:
        for path in ("d", "d/f", "d/l", "d/p", "d/nothing", "nothing"):
            assert SnapshotTree(root).lstat(path) == index.lstat(path)


def test_the_uppermost_of_a_hundred_layers_decides(store):
    layers = [layer_of(store, member(f"f{number}"), member("same", mode=0o600 + number % 8)) for number in range(100)]
    layers[70] = layer_of(store, member("f0", b"2", linkname="/f1"), member("f70"))
    layers[80] = layer_of(store, member(".wh.f1"), member("f80"))
    tree = index_of(store, *layers)
    assert [tree.lstat(f"f{number}").kind for number in (0, 2, 69, 70, 80, 99)] == [
        NodeKind.LINK,
        NodeKind.FILE,
        NodeKind.FILE,
        NodeKind.FILE,
        NodeKind.FILE,
        NodeKind.FILE,
    ]
    assert tree.lstat("f1") is None
    assert tree.lstat("f100") is None
    assert tree.lstat("same").mode == 0o600 + 99 % 8
