"""Looking up paths in a root file system, without unpacking it if possible.

COPY must know which parents of its destination exist, who owns them, and where symlinks on the way lead. An unpacked
snapshot is read directly; otherwise the index of each layer in the database is used.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from enum import StrEnum
from functools import partial
from posixpath import dirname
from typing import Any, NamedTuple, Protocol

from pybuild.builder.content.layer_stack import stack_of
from pybuild.builder.errors import BuildError
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.store.cache import BuiltLayer
from pybuild.builder.store.database import Database
from pybuild.runtime.kernel.syscalls import MAX_LINKS
from pybuild.runtime.paths.safepath import Root

_OPAQUE_NAME = ".wh..wh..opq"
_FIRST_LAYERS, _MOST_LAYERS = 8, 512


class NodeKind(StrEnum):
    """The kind of an entry. The values are stored in the index of a layer."""

    DIRECTORY = "directory"
    FILE = "file"
    LINK = "link"
    OTHER = "other"
    WHITEOUT = "whiteout"
    OPAQUE = "opaque"
    IMPLIED = "implied"
    """A directory for which the archive of the layer has no entry. The last three are in indexes only."""


_KINDS = {stat.S_IFDIR: NodeKind.DIRECTORY, stat.S_IFLNK: NodeKind.LINK, stat.S_IFREG: NodeKind.FILE}


class TreeNode(NamedTuple):
    """An entry at a path: its kind, and the metadata that a layer must repeat for a parent directory."""

    kind: NodeKind
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    link: str = ""


class Tree(Protocol):
    """A root file system in which paths can be looked up one at a time."""

    def lstat(self, path: str) -> TreeNode | None:
        """Return what is at *path*, following no symlink; *path* is relative and its parents are real directories."""
        ...


class EmptyTree:
    """The tree of an image without layers."""

    def lstat(self, path: str) -> TreeNode | None:
        """Return the root directory, and None for every other path."""
        return None if path else TreeNode(NodeKind.DIRECTORY)


class SnapshotTree:
    """The tree of an unpacked snapshot. The caller still owns the root."""

    def __init__(self, root: Root) -> None:
        self._root = root

    def lstat(self, path: str) -> TreeNode | None:
        """Look up *path* in the file system."""
        status = self._root.stat(path, follow=False)
        if status is None:
            return None
        link = (self._root.readlink(path) or "") if stat.S_ISLNK(status.st_mode) else ""
        mtime = status.st_mtime_ns // 1_000_000_000
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), NodeKind.OTHER)
        return TreeNode(kind, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, mtime, link)


class IndexTree:
    """The tree of layers that are not unpacked, on top of the tree *below*. The index of a layer is made once.

    A step asks for the paths of the one before it, with a layer more on top: what was found is kept in a `LayerStack`.
    *names* has that of the tree of each layer with those below it.
    """

    def __init__(
        self, layers: Sequence[BuiltLayer], names: Sequence[str], database: Database, blobs: BlobStore, below: Tree
    ) -> None:
        self._database, self._below, self._top = database, below, len(names) - 1
        number = partial(_layer_number, layers, database.found(), database, blobs)
        self._stack = stack_of(names, number, database)

    def lstat(self, path: str) -> TreeNode | None:
        """Search the layers from the top, until one has the path or hides it, or the rest is remembered."""
        layer, there = self._stack.found(path, self._top + 1)
        found: TreeNode | None = self._search(path, layer, there) if layer < self._top else there
        if layer < self._top:
            self._stack.note(path, self._top, found)
        return found

    def _search(self, path: str, known: int, there: TreeNode | None) -> TreeNode | None:
        """Search the layers above *known*, up to which the path is *there*; all and what is below them for -1."""
        above = list(_parents(path))
        opaque = [f"{directory}/{_OPAQUE_NAME}".lstrip("/") for directory in above]
        hiding = [_whiteout(name) for name in (path, *above) if name]
        names = [os.fsencode(name) for name in (path, *above, *opaque, *hiding)]
        implied = None
        for found in self._found(names, self._stack.layers(names[0], names[1:], known + 1, self._top + 1)):
            node = found.get(names[0])
            if node is not None and node.kind != NodeKind.IMPLIED:
                return node if node.kind == NodeKind.DIRECTORY else implied or node
            if node is not None:
                implied = TreeNode(NodeKind.DIRECTORY)
            if any(found[name].kind not in {NodeKind.DIRECTORY, NodeKind.IMPLIED} for name in found):
                return implied
        below = self._below.lstat(path) if known < 0 else there
        return below if below is not None and below.kind == NodeKind.DIRECTORY else implied or below

    def _found(self, names: list[bytes], layers: Sequence[int]) -> Iterator[dict[bytes, TreeNode]]:
        """Yield the entries of *names* in each of *layers* that has some, in their order.

        One query asks for many layers: a query for each would take ten times as long.
        """
        for some in _parts(layers):
            where = f"layer IN ({_marks(some)}) AND path IN ({_marks(names)})"
            query = f"SELECT path, kind, mode, uid, gid, mtime, link, layer FROM layer_paths WHERE {where}"  # noqa: S608
            found: dict[int, dict[bytes, TreeNode]] = {}
            for path, kind, mode, uid, gid, mtime, link, layer in self._database.all(query, (*some, *names)):
                node = TreeNode(NodeKind(kind), mode, uid, gid, mtime, os.fsdecode(link))
                found.setdefault(layer, {})[path] = node
            # Of a thousand layers few have any of the names, so the others are skipped.
            if found:
                yield from (found[layer] for layer in some if layer in found)


def _parts(values: Sequence[int]) -> Iterator[Sequence[int]]:
    """Yield *values* in parts of growing length: most paths are found in the upper layers."""
    at, size = 0, _FIRST_LAYERS
    while at < len(values):
        yield values[at : at + size]
        at, size = at + size, min(8 * size, _MOST_LAYERS)


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))


def _parents(path: str) -> Iterator[str]:
    """Yield the directories above *path*, ending with the root."""
    while path:
        path = dirname(path)
        yield path


def _whiteout(path: str) -> str:
    """Return the path of the marker that hides *path* in the layers below."""
    directory, _, name = path.rpartition("/")
    return f"{directory}/.wh.{name}".lstrip("/")


def _layer_number(
    layers: Sequence[BuiltLayer], known: dict[object, Any], database: Database, blobs: BlobStore, place: int
) -> int:
    """Return the number of the index of a layer, which is created when it is missing; *known* keeps it."""
    layer = layers[place]
    diff_id = str(layer.diff_id)
    if diff_id not in known:
        row = database.one("SELECT number FROM layers WHERE diff_id = ?", (diff_id,))
        known[diff_id] = _index(layer, database, blobs) if row is None else int(row[0])
    return int(known[diff_id])


def _index(layer: BuiltLayer, database: Database, blobs: BlobStore) -> int:
    """Create the index of a layer and return its number."""
    # 60 bits of the digest fit into SQLite's signed 64, and no two processes need to agree on a counter.
    number = int(layer.diff_id.hex[-15:], 16)
    database.run_all(
        "REPLACE INTO layer_paths VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        # Read first: other processes must not wait for the database while a large layer is decompressed.
        list(_rows(layer, number, blobs)),
        first=("REPLACE INTO layers VALUES (?, ?)", (str(layer.diff_id), number)),
    )
    return number


def _rows(layer: BuiltLayer, number: int, blobs: BlobStore) -> Iterator[tuple[object, ...]]:
    from pybuild.builder.oci.layers.unpack import entries
    from pybuild.builder.oci.tar.entry import EntryKind

    kinds = dict.fromkeys((EntryKind.FILE, EntryKind.HARDLINK), NodeKind.FILE)
    kinds |= {EntryKind.DIRECTORY: NodeKind.DIRECTORY, EntryKind.SYMLINK: NodeKind.LINK}
    directories = {""}
    with blobs.open(layer.descriptor) as stream:
        for entry in entries(stream):
            # An archive need not have entries for the parent directories of its files.
            for above in _parents(entry.path):
                if above in directories:
                    break
                directories.add(above)
                yield number, os.fsencode(above), NodeKind.IMPLIED.value, 0o755, 0, 0, 0, b""
            if entry.kind is EntryKind.DIRECTORY:
                directories.add(entry.path)
            name = entry.path.rpartition("/")[2]
            kind = kinds.get(entry.kind, NodeKind.OTHER)
            if name.startswith(".wh."):
                # Under its own name: a layer may hide a directory and also have a new one in its place.
                kind = NodeKind.OPAQUE if name == _OPAQUE_NAME else NodeKind.WHITEOUT
            names = os.fsencode(entry.path), kind.value, entry.mode, entry.uid, entry.gid, entry.mtime
            yield number, *names, os.fsencode(entry.linkname)


def resolve(tree: Tree, path: str, top: str = "") -> tuple[str, TreeNode | None]:
    """Return *path* with every symlink resolved inside the tree, and its entry, None when it does not exist.

    *top*, a path without symlinks, acts as the root: *path* and absolute targets are relative to it, and nothing leads
    above it.

    Raises:
        BuildError: symlinks form a loop.
    """
    waiting = [name for name in reversed(path.split("/")) if name not in {"", "."}]
    above = top.split("/") if top else []
    real, links = list(above), 0
    node = tree.lstat(top)
    while waiting:
        name = waiting.pop()
        if name == "..":
            del real[max(len(above), len(real) - 1) :]
            node = tree.lstat("/".join(real))
            continue
        node = tree.lstat("/".join([*real, name])) if node is not None and node.kind == NodeKind.DIRECTORY else None
        if node is None or node.kind != NodeKind.LINK:
            real.append(name)
            continue
        links += 1
        if links > MAX_LINKS:
            raise BuildError(f"/{path.lstrip('/')}: too many links")
        if node.link.startswith("/"):
            real = list(above)
        waiting.extend(part for part in reversed(node.link.split("/")) if part not in {"", "."})
        node = tree.lstat("/".join(real))
    return "/".join(real), node
