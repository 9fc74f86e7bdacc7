import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from pybuild.builder.oci.errors import LayerError
from pybuild.builder.oci.tar.entry import Entry, EntryKind
from pybuild.builder.oci.tar.reader import TarReader
from pybuild.builder.oci.tar.writer import TarWriter
from pybuild.runtime.stopping import stoppable
from tests.helpers.hosts import need_programs
from tests.helpers.sparse import sparse_file

MIB = 1 << 20


def written(*items: tuple[Entry, int | bytes | None]) -> list[bytes]:
    blocks: list[bytes] = []
    writer = TarWriter(lambda block: blocks.append(bytes(block)))
    for entry, data in items:
        writer.add(entry, data)
    writer.close()
    return blocks


def file(path: str, size: int) -> Entry:
    return Entry(path=path, kind=EntryKind.FILE, size=size)


LONG = "é" * 128
DEEP = "/".join(["d" * 255] * 16)


@pytest.mark.parametrize(
    "entry",
    [
        Entry(path=DEEP + "x", kind=EntryKind.DIRECTORY),
        Entry(path=f"d/{LONG}/f", kind=EntryKind.DIRECTORY),
        Entry(path="l", kind=EntryKind.SYMLINK, linkname=DEEP + "x"),
        Entry(path="l", kind=EntryKind.HARDLINK, linkname=DEEP + "x"),
        Entry(path="f", kind=EntryKind.FILE, xattrs=(("user.x", bytes(65537)),)),
        Entry(path="f", kind=EntryKind.FILE, xattrs=(("user." + "x" * 251, b""),)),
        Entry(path="f", kind=EntryKind.FILE, xattrs=tuple((f"user.{n}", bytes(65536)) for n in range(16))),
    ],
)
def test_what_a_reader_would_refuse_is_not_written(entry: Entry) -> None:
    with pytest.raises(LayerError):
        written((entry, None))


@pytest.mark.parametrize(
    "entry",
    [
        Entry(path=DEEP, kind=EntryKind.DIRECTORY),
        Entry(path="d/" + "é" * 127 + "x", kind=EntryKind.FILE),
        Entry(path="d/.wh." + "x" * 255, kind=EntryKind.FILE),
        Entry(path="l", kind=EntryKind.SYMLINK, linkname=DEEP),
        Entry(path="l", kind=EntryKind.SYMLINK, linkname="x" * 4095),
        Entry(path="f", kind=EntryKind.FILE, xattrs=tuple((f"user.{n}", bytes(65536)) for n in range(7))),
    ],
)
def test_what_is_written_up_to_the_limits_is_read(entry: Entry) -> None:
    blocks = written((entry, None))
    assert [found for found, _ in TarReader(io.BytesIO(b"".join(blocks)))] == [entry]


def test_an_archive_of_nothing_is_the_end_mark() -> None:
    assert b"".join(written()) == bytes(1024)


def test_how_far_a_large_file_is_can_be_watched(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    writer = TarWriter(lambda _block: None, lambda *event: seen.append(event))
    size = 40 * MIB
    with (tmp_path / "f").open("w+b") as sparse:
        os.pwrite(sparse.fileno(), b"1" * MIB, 20 * MIB)
        sparse.truncate(size)
        writer.add(file("d/f", size), sparse.fileno())
    writer.add(file("d/parts", size), iter([(20 * MIB, memoryview(b"1"))]))
    writer.add(file("d/small", 1), b"1")
    for path in ("d/f", "d/parts"):
        done = [at for name, at, _ in seen if name == path]
        assert len(done) >= 4
        assert (done, done[0], done[-1]) == (sorted(done), 0, size)
    assert {(name, most) for name, _, most in seen} == {("d/f", size), ("d/parts", size)}


def test_tarfile_and_gnu_tar_read_what_is_written(tmp_path: Path) -> None:
    need_programs(["tar"])
    big = os.urandom(2 * MIB + 7)
    (tmp_path / "big").write_bytes(big)
    with (tmp_path / "big").open("rb") as data:
        blocks = written(
            (Entry(path="d", kind=EntryKind.DIRECTORY, mode=0o755), None),
            (file("d/small", 5), b"12345"),
            (file("d/big", len(big)), data.fileno()),
            (Entry(path="d/s", kind=EntryKind.SYMLINK, linkname="small"), None),
            (Entry(path="d/h", kind=EntryKind.HARDLINK, linkname="d/small"), None),
            (file("d/" + "x" * 200, 0), None),
        )
    assert [len(block) for block in blocks[:-1]] == [MIB] * (len(blocks) - 1)
    (tmp_path / "a.tar").write_bytes(b"".join(blocks))
    with tarfile.open(tmp_path / "a.tar") as archive:
        content = archive.extractfile("d/big")
        assert content is not None
        assert content.read() == big
        assert archive.getmember("d/h").linkname == "d/small"
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run(["tar", "-C", out, "-xf", tmp_path / "a.tar"], check=True)
    assert (out / "d/big").read_bytes() == big
    assert (out / "d/h").read_bytes() == b"12345"
    assert (out / "d/s").readlink() == Path("small")
    assert (out / "d" / ("x" * 200)).exists()


@pytest.mark.parametrize("path", ["/a/b", "./a/b", "a//b", "a/./b", "../a/b", "a/b/", "x/../a/b", "//a/b"])
def test_names_are_written_clean(path: str) -> None:
    data = b"".join(written((file(path, 0), None)))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert archive.getnames() == ["a/b"]


@pytest.mark.parametrize("path", [".hidden", "a/.hidden", "...", "a/..b"])
def test_dots_in_names_are_kept(path: str) -> None:
    with tarfile.open(fileobj=io.BytesIO(b"".join(written((file(path, 0), None))))) as archive:
        assert archive.getnames() == [path]


@pytest.mark.parametrize("size", [10, 300_000])
@pytest.mark.parametrize("difference", [-1, 1])
def test_a_file_that_changes_its_size_is_an_error_that_names_it(tmp_path: Path, size: int, difference: int) -> None:
    (tmp_path / "f").write_bytes(bytes(size + difference))
    with (tmp_path / "f").open("rb") as data, pytest.raises(LayerError, match="some/file"):
        written((file("some/file", size), data.fileno()))
    with pytest.raises(LayerError, match="some/file"):
        written((file("some/file", size), bytes(size + difference)))


def sparse_and_dense(tmp_path: Path, size: int, *data: tuple[int, bytes]) -> tuple[list[bytes], list[bytes]]:
    sparse = sparse_file(tmp_path / "sparse", size, *data)
    (tmp_path / "dense").write_bytes(sparse.read_bytes())
    found = []
    for name in ("sparse", "dense"):
        with (tmp_path / name).open("rb") as content:
            found.append(
                written((file("before", 3), b"abc"), (file("f", size), content.fileno()), (file("g", 0), None))
            )
    return found[0], found[1]


@pytest.mark.parametrize(
    ("size", "data"),
    [
        (5 * MIB, ()),
        (5 * MIB + 1, ((0, b"x"),)),
        (7 * MIB + 513, ((MIB - 1, b"xy"), (3 * MIB, b"z" * 300_000), (7 * MIB + 512, b"!"))),
        (100_000, ((50_000, b"q"),)),
    ],
)
def test_an_archive_of_a_file_with_holes_is_that_of_one_without(
    tmp_path: Path, size: int, data: tuple[tuple[int, bytes], ...]
) -> None:
    sparse, dense = sparse_and_dense(tmp_path, size, *data)

    assert sparse == dense


def test_holes_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = 0
    preadv = os.preadv

    def note(fd: int, buffers: list[memoryview], offset: int) -> int:
        nonlocal read
        count = preadv(fd, buffers, offset)
        read += count
        return count

    monkeypatch.setattr(os, "preadv", note)
    with sparse_file(tmp_path / "f", 50 * MIB, (9 * MIB, b"x")).open("rb") as content:
        blocks = written((file("f", 50 * MIB), content.fileno()))

    assert len(b"".join(blocks)) == 50 * MIB + 512 + 1024
    assert read < MIB


def test_what_comes_in_parts_is_filled_with_zeros() -> None:
    parts = iter([(5, memoryview(b"abc")), (20, memoryview(b"d"))])

    blocks = written((file("f", 30), parts))  # type: ignore[arg-type]

    assert b"".join(blocks)[512:542] == b"\0" * 5 + b"abc" + b"\0" * 12 + b"d" + b"\0" * 9


def test_writing_stops_when_it_is_told_to(tmp_path: Path) -> None:
    def stop() -> None:
        raise InterruptedError

    with sparse_file(tmp_path / "f", 1 << 40).open("rb") as content, stoppable(stop), pytest.raises(InterruptedError):
        written((file("f", 1 << 40), content.fileno()))
