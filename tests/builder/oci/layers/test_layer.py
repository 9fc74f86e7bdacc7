import gzip
import hashlib
import os
import tarfile
import threading
from pathlib import Path

import pytest

from pybuild.builder.oci import media
from pybuild.builder.oci.blob_writer import BlobWriter
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import LayerError, OciError
from pybuild.builder.oci.layers.layer import Layer, LayerWriter, check_name
from pybuild.builder.oci.streams.compression import decompressing
from pybuild.builder.oci.tar.entry import Entry, EntryKind

MIB = 1 << 20
ALGORITHMS = ["gzip", "zstd", "uncompressed"]


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "store")


def file(path: str, size: int) -> Entry:
    return Entry(path=path, kind=EntryKind.FILE, size=size)


def unpacked(blobs: BlobStore, layer: Layer) -> bytes:
    with blobs.open(layer.descriptor) as stream, decompressing(stream) as reader:
        return reader.read()


def files_below(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


@pytest.mark.parametrize("size", [10, 300_000, 7 * MIB + 3])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_layer_has_the_digests_of_what_was_stored(blobs: BlobStore, algorithm: str, size: int) -> None:
    content = os.urandom(size // 2) + bytes(size - size // 2)
    with LayerWriter(blobs, algorithm) as writer:
        writer.add(file("a", size), content)
        layer = writer.commit()
    blob = blobs.path(layer.descriptor.digest).read_bytes()
    assert Digest.of(blob) == layer.descriptor.digest
    assert len(blob) == layer.descriptor.size
    tar = unpacked(blobs, layer)
    assert layer.diff_id == Digest.of(tar)
    assert content in tar
    assert (layer.diff_id == layer.descriptor.digest) == (algorithm == "uncompressed")
    assert layer.descriptor.media_type == media.oci_layer(algorithm)
    assert files_below(blobs.root) == [blobs.path(layer.descriptor.digest)]


def test_the_same_entries_give_the_same_blob_again(blobs: BlobStore) -> None:
    made = []
    for _ in range(2):
        with LayerWriter(blobs, "gzip", 1) as writer:
            for index in range(300):
                writer.add(file(f"f{index}", 20_000), hashlib.sha256(b"%d" % index).digest() * 625)
            made.append(writer.commit())
    assert made[0] == made[1]


def test_no_time_is_later_than_the_limit(blobs: BlobStore) -> None:
    with LayerWriter(blobs, latest=50) as writer:
        for mtime in (10, 50, 70):
            writer.add(file(f"f{mtime}", 0)._replace(mtime=mtime, nanoseconds=9), b"")
        layer = writer.commit()
    with blobs.open(layer.descriptor) as stream, gzip.open(stream) as tar, tarfile.open(fileobj=tar) as archive:
        assert [member.mtime for member in archive] == [10, 50, 50]
    assert list(layer.nanoseconds) == [9, 0, 0]


def test_deletions_are_marked_as_the_specification_says(blobs: BlobStore) -> None:
    with LayerWriter(blobs) as writer:
        writer.whiteout("a/b/gone")
        writer.whiteout("gone")
        writer.opaque("a/b")
        writer.opaque("")
        layer = writer.commit()
    with blobs.open(layer.descriptor) as stream, gzip.open(stream) as tar, tarfile.open(fileobj=tar) as archive:
        assert archive.getnames() == ["a/b/.wh.gone", ".wh.gone", "a/b/.wh..wh..opq", ".wh..wh..opq"]
        assert all(member.isreg() and member.size == 0 for member in archive)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("size", [100, 20 * MIB])
def test_what_is_not_committed_leaves_no_file_and_no_thread(blobs: BlobStore, algorithm: str, size: int) -> None:
    before = threading.active_count()
    with LayerWriter(blobs, algorithm) as writer:
        writer.add(file("a", size), bytes(size))
    with LayerWriter(blobs, algorithm) as writer:
        writer.add(file("a", size), bytes(size))
        with pytest.raises(LayerError, match="short"):
            writer.add(file("short", 5), b"1234")
    assert files_below(blobs.root) == []
    assert threading.active_count() == before


class FullBlobs(BlobStore):
    """A store on a disk that has no space left after a megabyte."""

    def writer(self, algorithm: str = "sha256") -> BlobWriter:
        writer = super().writer(algorithm)
        write = writer.write

        def failing(piece: bytes | memoryview) -> None:
            if writer.size > MIB:
                raise OSError(28, "No space left on device")
            write(piece)

        writer.write = failing  # type: ignore[method-assign]
        return writer


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_full_disk_is_reported_to_who_writes(tmp_path: Path, algorithm: str) -> None:
    blobs = FullBlobs(tmp_path)
    before = threading.active_count()
    content = os.urandom(10 * MIB)

    def write_much() -> None:
        with LayerWriter(blobs, algorithm) as writer:
            for index in range(20):
                writer.add(file(f"f{index}", len(content)), content)
            writer.commit()

    with pytest.raises(OSError, match="No space"):
        write_much()
    assert files_below(tmp_path) == []
    assert threading.active_count() == before


def test_an_unknown_compression_is_refused_before_anything_is_written(blobs: BlobStore) -> None:
    with pytest.raises(OciError, match="lzma"):
        LayerWriter(blobs, "lzma")
    assert files_below(blobs.root) == []


@pytest.mark.parametrize("path", [".wh.a", "a/.wh.b", "a/.wh..wh..opq", ".wh.a/b"])
def test_names_that_mean_deletions_cannot_be_stored(path: str) -> None:
    with pytest.raises(LayerError, match="cannot be stored"):
        check_name(path)
    check_name(path.replace(".wh.", ".why."))
    check_name("a.wh.b")
