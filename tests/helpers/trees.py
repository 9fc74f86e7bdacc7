"""What an image holds, read by the standard library alone, so that our own tar code cannot hide its own mistakes.

A `Tree` maps absolute paths to nodes. It is made from the layers of a saved image, applied in memory, or from a
directory. Two names of one inode share the text in `Node.same`, the smallest of their paths.
"""

import gzip
import hashlib
import io
import json
import os
import stat
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
_XATTR = "SCHILY.xattr."
_KEPT = 4096
_SHOWN = 120

_TYPES = {
    tarfile.REGTYPE: stat.S_IFREG,
    tarfile.AREGTYPE: stat.S_IFREG,
    tarfile.DIRTYPE: stat.S_IFDIR,
    tarfile.SYMTYPE: stat.S_IFLNK,
    tarfile.CHRTYPE: stat.S_IFCHR,
    tarfile.BLKTYPE: stat.S_IFBLK,
    tarfile.FIFOTYPE: stat.S_IFIFO,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One inode under one of its names."""

    mode: int
    """Type and permission bits, as in st_mode."""
    uid: int
    gid: int
    mtime: int
    size: int = 0
    digest: str = ""
    text: bytes = b""
    """The first bytes of a regular file, for messages."""
    link: str = ""
    device: tuple[int, int] = (0, 0)
    xattrs: tuple[tuple[str, bytes], ...] = ()
    same: str = ""
    inode: object = field(default=None, compare=False, repr=False)

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.mode)

    def describe(self) -> str:
        """One line in the manner of ``ls -l``; the language of expect.toml."""
        line = f"{stat.filemode(self.mode)} {self.uid}:{self.gid}"
        if stat.S_ISLNK(self.mode):
            return f"{line} -> {self.link}"
        if stat.S_ISREG(self.mode):
            return f"{line} {self.text.decode(errors='backslashreplace')}"
        if any(self.device):
            return f"{line} {self.device[0]},{self.device[1]}"
        return line


Tree = dict[str, Node]


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedImage:
    """An image as an archive on disk describes it."""

    config: Mapping[str, Any]
    tree: Tree
    diff_ids: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def history(self) -> tuple[Mapping[str, Any], ...]:
        return tuple(self.config.get("history") or ())


def read_archive(archive: Path) -> SavedImage:
    """Read the one image of a ``docker save`` archive; check that layers are those that the config names."""
    with tarfile.open(archive) as tar:
        (record,) = json.loads(_member(tar, "manifest.json"))
        config = json.loads(_member(tar, record["Config"]))
        tree: Tree = {}
        diff_ids: list[str] = []
        repeated: list[str] = []
        for name in record["Layers"]:
            stream = tar.extractfile(name)
            assert stream is not None
            diff_ids.append(_apply(tree, stream, repeated))
    assert not repeated, "docker load refuses a layer that has a path twice"
    assert diff_ids == config["rootfs"]["diff_ids"], "layers are not those of the config"
    return SavedImage(
        config=config, tree=_grouped(tree), diff_ids=tuple(diff_ids), names=tuple(record.get("RepoTags") or ())
    )


def read_tar(layer: Path) -> Tree:
    """The tree of one layer, plain or gzip, that stands alone."""
    tree: Tree = {}
    with layer.open("rb") as stream:
        _apply(tree, stream)
    return _grouped(tree)


def read_directory(directory: Path) -> Tree:
    """The tree below *directory*, with ``/`` for the directory itself."""
    tree: Tree = {}
    for path in _walk(directory):
        name = "/" + os.fspath(path.relative_to(directory)) if path != directory else "/"
        tree[name] = _host_node(path)
    return _grouped(tree)


def shown(path: str) -> str:
    """The path as printable text; bytes that are no UTF-8 are written ``\\xff``."""
    return os.fsencode(path).decode(errors="backslashreplace")


def lines(tree: Tree, base: Tree) -> dict[str, str]:
    """How *tree* differs from *base*, in the language of expect.toml: `shown` paths and one line for each."""
    found = {shown(path): _line(path, node) for path, node in sorted(changed(tree, base).items())}
    return found | {shown(path): "absent" for path in removed(tree, base)}


def _line(path: str, node: Node) -> str:
    if node.same in {"", path}:
        return node.describe()
    return " ".join(node.describe().split(" ")[:2]) + f" same as {shown(node.same)}"


def changed(tree: Tree, base: Tree) -> Tree:
    """What *tree* has beyond *base*: nodes that are new or not the same, times aside."""
    return {path: node for path, node in tree.items() if path not in base or _timeless(node) != _timeless(base[path])}


def removed(tree: Tree, base: Tree) -> list[str]:
    """The topmost paths of *base* that *tree* lacks."""
    gone = [path for path in base if path not in tree]
    return [path for path in gone if os.path.dirname(path) not in gone]


def differences(ours: Tree, theirs: Tree, *, started: int) -> Iterator[tuple[str, str]]:
    """Pairs (path, what differs).

    Times of directories do not count, for each builder touches directories in its own order; those of other nodes count when
    one side kept them from before *started*.
    """
    for path in sorted(ours.keys() | theirs.keys()):
        if path == "/":
            continue  # docker import drops the entry of the root directory, so a base may lack it on one side
        if path not in theirs:
            yield path, f"only ours has it: {ours[path].describe()[:_SHOWN]}"
        elif path not in ours:
            yield path, f"only theirs has it: {theirs[path].describe()[:_SHOWN]}"
        else:
            yield from ((path, text) for text in _node_differences(ours[path], theirs[path], started))


def _node_differences(ours: Node, theirs: Node, started: int) -> Iterator[str]:
    if ours.describe() != theirs.describe():
        yield f"{ours.describe()[:_SHOWN]!r}, theirs is {theirs.describe()[:_SHOWN]!r}"
    elif (ours.size, ours.digest) != (theirs.size, theirs.digest):
        yield f"content of {ours.size} bytes, theirs has {theirs.size} bytes"
    if ours.xattrs != theirs.xattrs:
        yield f"xattrs {ours.xattrs}, theirs are {theirs.xattrs}"
    if ours.same != theirs.same:
        yield f"hard link to {ours.same or 'nothing'}, theirs to {theirs.same or 'nothing'}"
    if not ours.is_directory and ours.mtime != theirs.mtime and min(ours.mtime, theirs.mtime) < started:
        yield f"mtime {ours.mtime}, theirs is {theirs.mtime}"


def _timeless(node: Node) -> Node:
    return replace(node, mtime=0, inode=None)


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    stream = tar.extractfile(name)
    assert stream is not None, name
    return stream.read()


class _Hashing(io.RawIOBase):
    """Passes bytes on and hashes them; the digest of a layer is the digest of what was read to the end."""

    def __init__(self, stream: IO[bytes] | gzip.GzipFile) -> None:
        self._stream = stream
        self.hash = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._stream.read(len(buffer))
        buffer[: len(piece)] = piece
        self.hash.update(piece)
        return len(piece)


def _plain(stream: IO[bytes]) -> IO[bytes] | gzip.GzipFile:
    start = stream.read(2)
    stream.seek(0)
    return gzip.GzipFile(fileobj=stream) if start == b"\x1f\x8b" else stream


def _apply(tree: Tree, stream: IO[bytes], repeated: list[str] | None = None) -> str:
    """Put one layer on *tree*; return its diff ID. Paths that the layer has more than once are added to *repeated*.

    Whiteouts act on the layers below only, wherever they stand in their own layer (OCI layer specification,
    "Whiteouts"), so the lower tree is cut before anything is added.
    """
    with closing(_plain(stream)) as plain, closing(_Hashing(plain)) as hashing:
        with tarfile.open(fileobj=io.BufferedReader(hashing, 1 << 20), mode="r|", errors="surrogateescape") as tar:
            members = [(member, _content(tar, member)) for member in tar]
        while hashing.read(1 << 20):
            pass
        diff_id = "sha256:" + hashing.hash.hexdigest()
    if repeated is not None:
        counts = Counter(_name(member) for member, _ in members)
        repeated += [name for name, count in counts.items() if count > 1]
    for member, _ in members:
        _cut(tree, _name(member))
    for member, content in members:
        _add(tree, member, content)
    return diff_id


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> tuple[str, bytes]:
    stream = tar.extractfile(member) if member.isreg() else None
    if stream is None:
        return "", b""
    return _digest(stream.read)


def _digest(read: Callable[[int], bytes]) -> tuple[str, bytes]:
    start = read(_KEPT)
    hashed = hashlib.sha256(start)
    while piece := read(1 << 20):
        hashed.update(piece)
    return hashed.hexdigest(), start


def _name(member: tarfile.TarInfo) -> str:
    return os.path.normpath("/" + member.name).replace("//", "/")


def _cut(tree: Tree, path: str) -> None:
    directory, name = os.path.split(path)
    if name == OPAQUE:
        _remove_below(tree, directory)
    elif name.startswith(WHITEOUT):
        _remove(tree, os.path.join(directory, name.removeprefix(WHITEOUT)))


def _remove(tree: Tree, path: str) -> None:
    tree.pop(path, None)
    _remove_below(tree, path)


def _remove_below(tree: Tree, directory: str) -> None:
    prefix = directory.rstrip("/") + "/"
    for path in [path for path in tree if path.startswith(prefix) and path != "/"]:
        del tree[path]


def _add(tree: Tree, member: tarfile.TarInfo, content: tuple[str, bytes]) -> None:
    path = _name(member)
    if os.path.basename(path).startswith(WHITEOUT):
        return
    node = _hard_linked(tree, member) if member.islnk() else _node(member, content)
    if path in tree and not (tree[path].is_directory and node.is_directory):
        _remove(tree, path)
    tree[path] = node


def _hard_linked(tree: Tree, member: tarfile.TarInfo) -> Node:
    """The node that the link leads to; the owner, mode and time in its header count for all of its names."""
    old = tree[_linked(member)]
    told = (member.mode, member.uid, member.gid, int(member.mtime))
    if stat.S_ISLNK(old.mode) or told == (stat.S_IMODE(old.mode), old.uid, old.gid, old.mtime):
        return old
    new = replace(
        old, mode=stat.S_IFMT(old.mode) | member.mode, uid=member.uid, gid=member.gid, mtime=int(member.mtime)
    )
    for path in [path for path, node in tree.items() if node.inode is old.inode]:
        tree[path] = new
    return new


def _linked(member: tarfile.TarInfo) -> str:
    return os.path.normpath("/" + member.linkname).replace("//", "/")


def _node(member: tarfile.TarInfo, content: tuple[str, bytes]) -> Node:
    xattrs = [
        (key.removeprefix(_XATTR), value.encode(errors="surrogateescape"))
        for key, value in member.pax_headers.items()
        if key.startswith(_XATTR)
    ]
    return Node(
        mode=_TYPES[member.type] | stat.S_IMODE(member.mode),
        uid=member.uid,
        gid=member.gid,
        mtime=int(member.mtime),
        size=member.size if member.isreg() else 0,
        digest=content[0],
        text=content[1],
        link=member.linkname if member.issym() else "",
        device=(member.devmajor, member.devminor) if member.isdev() and not member.isfifo() else (0, 0),
        xattrs=tuple(sorted(xattrs)),
        inode=object(),
    )


def _walk(directory: Path) -> Iterator[Path]:
    yield directory
    for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path))
        else:
            yield Path(entry.path)


def _host_node(path: Path) -> Node:
    found = path.lstat()
    digest, text = "", b""
    if stat.S_ISREG(found.st_mode):
        with path.open("rb") as stream:
            digest, text = _digest(stream.read)
    is_device = stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode)
    return Node(
        mode=found.st_mode,
        uid=found.st_uid,
        gid=found.st_gid,
        mtime=int(found.st_mtime),
        size=found.st_size if stat.S_ISREG(found.st_mode) else 0,
        digest=digest,
        text=text,
        link=os.readlink(path) if stat.S_ISLNK(found.st_mode) else "",
        device=(os.major(found.st_rdev), os.minor(found.st_rdev)) if is_device else (0, 0),
        xattrs=tuple(
            (name, os.getxattr(path, name, follow_symlinks=False))
            for name in sorted(os.listxattr(path, follow_symlinks=False))
        ),
        inode=(found.st_dev, found.st_ino),
    )


def _grouped(tree: Tree) -> Tree:
    """Give the names of one inode a common `same`; directories have one name only."""
    names: dict[Any, list[str]] = {}
    for path, node in tree.items():
        if not node.is_directory:
            names.setdefault(node.inode, []).append(path)
    return {
        path: replace(node, same=min(names[node.inode])) if len(names.get(node.inode, ())) > 1 else node
        for path, node in tree.items()
    }
