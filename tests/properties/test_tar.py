"""Laws of layers: what is packed comes back, two formats agree with a model, no bytes make the reader misbehave."""

import io
import os
import stat
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.errors import LayerError
from pybuild.builder.oci.layers.layer import Layer, LayerWriter
from pybuild.builder.oci.layers.pack import pack_changes
from pybuild.builder.oci.layers.unpack import unpack
from pybuild.builder.oci.limits import Limits
from pybuild.builder.oci.streams.compression import decompressing, open_compressor
from pybuild.builder.oci.tar.entry import Entry, EntryKind, clean_path
from pybuild.builder.oci.tar.reader import TarReader
from pybuild.builder.oci.tar.writer import TarWriter
from pybuild.runtime.snapshots.changes import tree_changes
from tests.helpers.hosts import need_root
from tests.helpers.rawtar import END, archive, directory, file, hardlink, header, pax, symlink
from tests.helpers.trees import read_directory
from tests.helpers.unpacking import Ground

pytestmark = pytest.mark.filterwarnings("error")

NAMES = st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=20).filter(
    lambda name: name not in {".", ".."} and not name.startswith(".wh.") and len(name.encode()) < 200
)
PATHS = st.lists(NAMES, min_size=1, max_size=9).map("/".join)
XATTRS = st.dictionaries(st.sampled_from(["user.a", "user.ü", "user.long"]), st.binary(max_size=1200), max_size=3).map(
    lambda found: tuple(sorted(found.items()))
)
KINDS = st.sampled_from([kind for kind in EntryKind if kind is not EntryKind.FILE])


@st.composite
def entries(draw: st.DrawFn) -> tuple[Entry, bytes]:
    content = draw(st.none() | st.binary(max_size=2000))
    kind = EntryKind.FILE if content is not None else draw(KINDS)
    is_link = kind in {EntryKind.SYMLINK, EntryKind.HARDLINK}
    is_device = kind in {EntryKind.CHAR, EntryKind.BLOCK}
    entry = Entry(
        path=draw(PATHS),
        kind=kind,
        mode=draw(st.integers(0, 0o7777)),
        uid=draw(st.integers(0, 2**32 - 2)),
        gid=draw(st.integers(0, 2**32 - 2)),
        size=len(content or b""),
        mtime=draw(st.integers(-(2**40), 2**40)),
        linkname=draw(PATHS) if is_link else "",
        dev_major=draw(st.integers(0, 4095)) if is_device else 0,
        dev_minor=draw(st.integers(0, 2**20 - 1)) if is_device else 0,
        xattrs=draw(XATTRS),
    )
    return entry, content or b""


def written(items: list[tuple[Entry, bytes]]) -> bytes:
    blocks: list[bytes] = []
    writer = TarWriter(lambda block: blocks.append(bytes(block)))
    for entry, data in items:
        writer.add(entry, data)
    writer.close()
    return b"".join(blocks)


@given(st.lists(entries(), max_size=8))
def test_what_is_written_is_read(items: list[tuple[Entry, bytes]]) -> None:
    data = written(items)
    assert [(entry, content.read()) for entry, content in TarReader(io.BytesIO(data))] == items
    assert written(items) == data


@given(st.lists(entries(), max_size=5))
def test_tarfile_reads_the_same(items: list[tuple[Entry, bytes]]) -> None:
    with tarfile.open(fileobj=io.BytesIO(written(items)), encoding="utf-8", errors="surrogateescape") as tar:
        members = tar.getmembers()
    seen = [(m.name, m.type, m.mode, m.uid, m.gid, m.size, int(m.mtime), m.linkname) for m in members]
    assert seen == [
        (e.path, e.kind.value, e.mode, e.uid, e.gid, e.size, e.mtime, e.linkname) for e, _ in items
    ]  # fmt: skip


@given(st.text("./ab", max_size=12))
def test_a_clean_path_is_what_the_system_makes_of_it_below_the_root(name: str) -> None:
    path = clean_path(name)
    assert "/" + path == os.path.normpath("/" + name).replace("//", "/")
    assert clean_path(path) == path


SEEDS = [
    archive(file("a", b"data" * 200), directory("d"), symlink("l", "a"), hardlink("h", "a")),
    archive(pax(("path", "long"), ("size", "3"), ("SCHILY.xattr.user.a", "b")), header("x", size=3), b"abc" + bytes(509)),
    archive(pax(("GNU.sparse.size", "2000"), ("GNU.sparse.map", "0,2,1000,3")) + file("f", b"abxyz")),
    archive(
        pax(("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "2000")),
        header("g", size=517) + b"2\n0\n2\n1000\n3\n".ljust(512, b"\0") + b"abxyz".ljust(512, b"\0"),
    ),
    archive(header("f", b"S", size=5, magic=b"ustar  \0", tail=b"00000000000\x0000000000005\0".ljust(97, b"\0")
                   + b"00000000010\0" + bytes(17)) + b"abcde".ljust(512, b"\0")),
]  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data) - 1))
        piece = draw(st.binary(min_size=1, max_size=12))
        data[at : at + len(piece)] = piece
    if draw(st.booleans()):  # with right checksums the fields behind them are reached
        for at in range(0, len(data) - 511, 512):
            block = bytes(data[at : at + 148]) + b" " * 8 + bytes(data[at + 156 : at + 512])
            if any(block[:148]):
                data[at + 148 : at + 156] = b"%06o\0 " % sum(block)
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data)


@settings(max_examples=300)
@given(mutated())
@example(b"")
def test_damaged_archives_are_read_or_refused(data: bytes) -> None:
    total = 0
    try:
        for entry, content in TarReader(io.BytesIO(data), Limits(total=1 << 20, entries=1000)):
            assert clean_path(entry.path) == entry.path
            got = content.read()
            assert len(got) == entry.size
            total += entry.size
    except LayerError:
        pass
    assert total <= 1 << 20


@settings(max_examples=150)
@given(st.sampled_from(["gzip", "zstd"]), st.binary(max_size=3000), st.data())
def test_damaged_streams_are_read_or_refused(algorithm: str, content: bytes, data: st.DataObject) -> None:
    out: list[bytes] = []
    compressor = open_compressor(algorithm, None, lambda block: out.append(bytes(block)))
    compressor.write(content)
    compressor.close()
    packed = bytearray(b"".join(out))
    at = data.draw(st.integers(4, len(packed) - 1))
    packed[at : at + 3] = data.draw(st.binary(max_size=4))
    try:
        got = decompressing(io.BytesIO(packed), Limits(total=1 << 20)).read()
    except LayerError:
        return
    assert len(got) <= 1 << 20


# trees on disk

_numbers = count()


@contextmanager
def opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


SHORT = st.sampled_from(["a", "b", "c", "dir", "ü\udcff", "n" * 120])
MODES = st.integers(0, 0o7777)
NODES = st.recursive(
    st.one_of(
        st.tuples(st.just("file"), st.binary(max_size=600), MODES, st.integers(0, 2**31), st.integers(0, 70_000)),
        st.tuples(st.just("link"), st.sampled_from(["a", "../b", "/dir"]), MODES, st.integers(0, 2**31), st.just(3)),
        st.tuples(st.just("same"), st.integers(0, 9), MODES, st.just(0), st.just(0)),
        st.tuples(st.just("fifo"), st.none(), MODES, st.integers(0, 2**31), st.just(0)),
    ),
    lambda inner: st.tuples(
        st.just("dir"), st.dictionaries(SHORT, inner, max_size=4), MODES, st.integers(0, 2**31), st.integers(0, 9)
    ),
    max_leaves=12,
)


def grow(path: Path, node: tuple[Any, ...], files: list[Path]) -> None:
    kind, content, mode, mtime, owner = node
    if kind == "same" and files:
        path.hardlink_to(files[content % len(files)])
        return
    if kind in {"file", "same"}:
        path.write_bytes(content if kind == "file" else b"")
        files.append(path)
        os.setxattr(path, "user.mode", b"%d\0" % mode)
    elif kind == "link":
        path.symlink_to(content)
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
        for name, inner in content.items():
            grow(path / name, inner, files)
    os.chown(path, owner, owner, follow_symlinks=False)
    if kind != "link":
        path.chmod(mode)
    os.utime(path, (mtime, mtime), follow_symlinks=False)


def layer_of(tree: Path, blobs: BlobStore, algorithm: str) -> Layer:
    with opened(tree) as fd, LayerWriter(blobs, algorithm) as writer:
        pack_changes(writer, fd, tree_changes(None, fd))
        return writer.commit()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(SHORT, NODES, max_size=4), st.sampled_from(["gzip", "zstd", "uncompressed"]))
def test_a_packed_tree_unpacks_to_itself(tmp_path: Path, nodes: dict[str, tuple[Any, ...]], algorithm: str) -> None:
    need_root()
    place = tmp_path / str(next(_numbers))
    (place / "tree").mkdir(parents=True)
    files: list[Path] = []
    for name, node in nodes.items():
        grow(place / "tree" / name, node, files)
    blobs = BlobStore(tmp_path / "store")
    layer = layer_of(place / "tree", blobs, algorithm)
    assert layer_of(place / "tree", blobs, algorithm) == layer
    wanted = read_directory(place / "tree")
    for overlay in (False, True):
        (place / str(overlay)).mkdir()
        with opened(place / str(overlay)) as fd, blobs.open(layer.descriptor) as stream:
            unpack(stream, fd, overlay=overlay, diff_id=layer.diff_id)
        found = read_directory(place / str(overlay))
        assert {path: node for path, node in found.items() if path != "/"} == {
            path: node for path, node in wanted.items() if path != "/"
        }
        assert layer_of(place / str(overlay), blobs, algorithm) == layer


HOSTILE = st.sampled_from(["a", "b", "a/a", "a/b", "b/a", "b/a/b", "/a/b", "../b", "a/../../b", "./a", ".", "b/b/a"])
TARGETS = st.sampled_from(["a", "b", "/a", "../a", "a/b", "..", "/", ".", "/b/a", "../../../outside"])
DELETIONS = st.sampled_from(
    [".wh.a", ".wh.b", "a/.wh.a", "a/.wh.b", "b/.wh.a", "a/.wh..wh..opq", "b/.wh..wh..opq", ".wh..wh..opq"]
)
RAW = st.one_of(
    st.builds(file, HOSTILE, st.sampled_from([b"1", b"22"])),
    st.builds(directory, HOSTILE, st.sampled_from([0o700, 0o755])),
    st.builds(symlink, HOSTILE, TARGETS),
    st.builds(hardlink, HOSTILE, HOSTILE),
    st.builds(file, DELETIONS),
    st.builds(lambda name: header(name, b"3"), HOSTILE),
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(RAW, max_size=7), st.lists(RAW, max_size=7))
def test_no_layer_leaves_its_root_and_both_formats_agree(
    tmp_path: Path, lower: list[bytes], upper: list[bytes]
) -> None:
    need_root()
    place = tmp_path / str(next(_numbers))
    place.mkdir()
    ground = Ground(place)
    ground.compare_links = False
    try:
        tree = ground.apply(b"".join(lower) + END, b"".join(upper) + END)
    except LayerError:
        return
    assert not any(stat.S_ISCHR(node.mode) for node in tree.values())
