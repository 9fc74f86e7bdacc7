import pytest

from pybuild.builder.content.trees import EmptyTree, NodeKind, TreeNode
from pybuild.builder.errors import BuildError
from pybuild.builder.execute.tree_writer import TreeWriter
from pybuild.builder.oci.errors import LayerError
from pybuild.builder.oci.tar.entry import AS_BELOW, Entry, EntryKind


class KeptLayer:
    """Keeps the entries instead of writing them."""

    def __init__(self):
        self.entries = []

    def add(self, entry, data=None):
        self.entries.append(entry)

    @property
    def paths(self):
        return [entry.path for entry in self.entries]


class DictTree:
    def __init__(self, **nodes):
        self.nodes = {path.replace("__", "/"): node for path, node in nodes.items()}
        self.asked = []

    def lstat(self, path):
        self.asked.append(path)
        return TreeNode(NodeKind.DIRECTORY) if not path else self.nodes.get(path)


def writer_on(tree=None, **fields):
    return TreeWriter(layer=KeptLayer(), tree=tree or EmptyTree(), **fields)


def file(path, **fields):
    return Entry(path=path, kind=EntryKind.FILE, **fields)


def directory(path, **fields):
    return Entry(path=path, kind=EntryKind.DIRECTORY, **fields)


def test_new_parents_are_plain_directories_of_the_given_owner():
    writer = writer_on(owner=(5, 6), now_ns=9_000_000_000)
    writer.put(file("a/b/f"))
    assert writer.layer.paths == ["a", "a/b", "a/b/f"]
    made = writer.layer.entries[0]
    assert (made.kind, made.mode, made.uid, made.gid, made.mtime) == (EntryKind.DIRECTORY, 0o755, 5, 6, 9)


def test_parents_that_exist_are_repeated_as_they_are():
    writer = writer_on(DictTree(tmp=TreeNode(NodeKind.DIRECTORY, 0o1777, 1, 2, 3)), owner=(5, 6))
    writer.put(file("tmp/f"))
    assert writer.layer.entries[0] == directory("tmp", mode=0o1777, uid=1, gid=2, mtime=3, nanoseconds=AS_BELOW)


def test_a_parent_is_written_once():
    writer = writer_on()
    writer.put(file("a/f"))
    writer.put(file("a/g"))
    assert writer.layer.paths == ["a", "a/f", "a/g"]


def test_the_root_is_never_written():
    writer = writer_on()
    writer.add_directory("")
    writer.put(file("f"))
    assert writer.layer.paths == ["f"]


def test_a_directory_that_exists_keeps_its_owner_when_it_is_only_made_sure_of():
    writer = writer_on(DictTree(d=TreeNode(NodeKind.DIRECTORY, 0o750, 1, 1, 1)), owner=(5, 6))
    writer.add_directory("d")
    writer.add_directory("d")
    assert writer.layer.entries == [directory("d", mode=0o750, uid=1, gid=1, mtime=1, nanoseconds=AS_BELOW)]


def test_a_directory_that_is_put_takes_over_owner_and_mode():
    writer = writer_on(DictTree(d=TreeNode(NodeKind.DIRECTORY, 0o750, 1, 1, 1)))
    writer.put(directory("d", mode=0o700, uid=2))
    assert writer.layer.entries == [directory("d", mode=0o700, uid=2)]


@pytest.mark.parametrize("kind", [NodeKind.FILE, NodeKind.LINK])
def test_a_directory_cannot_take_the_place_of_something_else(kind):
    writer = writer_on(DictTree(d=TreeNode(kind)))
    with pytest.raises(BuildError, match="cannot copy to non-directory: /d"):
        writer.put(directory("d"))
    with pytest.raises(BuildError, match="cannot copy to non-directory: /d"):
        writer.add_directory("d")
    with pytest.raises(BuildError, match="cannot copy to non-directory: /d"):
        writer.put(file("d/f"))


def test_a_file_cannot_take_the_place_of_a_directory():
    with pytest.raises(BuildError, match="cannot replace to directory /d with file"):
        writer_on(DictTree(d=TreeNode(NodeKind.DIRECTORY))).put(file("d"))


def test_an_archive_may_replace_anything():
    writer = writer_on(DictTree(d=TreeNode(NodeKind.DIRECTORY), f=TreeNode(NodeKind.FILE)))
    writer.put(file("d"), over=True)
    writer.put(directory("f"), over=True)
    assert writer.layer.paths == ["d", "f"]


def test_a_file_takes_the_place_of_a_file_or_link():
    writer = writer_on(DictTree(f=TreeNode(NodeKind.FILE), l=TreeNode(NodeKind.LINK, link="x")))
    writer.put(file("f"))
    writer.put(file("l"))
    assert writer.layer.paths == ["f", "l"]


def test_nothing_is_looked_up_below_a_directory_that_the_layer_made():
    tree = DictTree()
    writer = writer_on(tree)
    writer.put(directory("new"))
    tree.asked.clear()
    for number in range(3):
        writer.put(file(f"new/{number}"))
    assert tree.asked == []


def test_what_was_written_is_seen_when_links_are_resolved():
    writer = writer_on()
    writer.put(directory("real"))
    writer.put(Entry(path="link", kind=EntryKind.SYMLINK, linkname="real"))
    path, node = writer.resolve("link")
    assert (path, node.kind) == ("real", NodeKind.DIRECTORY)


@pytest.mark.parametrize("path", [".wh.f", "d/.wh.f", "d/.wh..wh..opq"])
def test_a_name_that_means_a_deletion_is_refused(path):
    with pytest.raises(LayerError, match="cannot be stored in a layer"):
        writer_on().put(file(path))


def test_a_directory_may_be_deeper_than_python_recurses():
    writer = writer_on()
    writer.add_directory("a/" * 2500 + "a")
    assert len(writer.layer.paths) == 2501
    assert writer.layer.paths[:2] == ["a", "a/a"]


def test_what_is_below_a_directory_that_was_replaced_twice_is_not_that_of_the_tree():
    tree = DictTree(a=TreeNode(NodeKind.DIRECTORY), a__d=TreeNode(NodeKind.DIRECTORY), a__d__f=TreeNode(NodeKind.FILE))
    writer = writer_on(tree)
    writer.add_directory("a/d")
    writer.put(file("a"), over=True)
    writer.put(directory("a"), over=True)
    writer.add_directory("a/d")
    assert writer.lstat("a/d/f") is None


def test_of_directories_that_are_new_nothing_is_kept_but_their_nodes():
    writer = writer_on(DictTree(a=TreeNode(NodeKind.DIRECTORY)))
    for number in range(9):
        writer.put(directory(f"a/{number}"))
    assert writer._kept == {"", "a"}
