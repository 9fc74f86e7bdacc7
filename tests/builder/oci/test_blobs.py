import io
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import BlobNotFound, DigestMismatch, SizeMismatch
from pybuild.builder.oci.model import Descriptor

TYPE = "text/plain"


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "store")


def descriptor(content: bytes, *, size: int | None = None) -> Descriptor:
    return Descriptor(media_type=TYPE, digest=Digest.of(content), size=len(content) if size is None else size)


def temporary(blobs: BlobStore) -> list[str]:
    return os.listdir(blobs.root / "tmp")


def test_content_is_stored_under_its_digest(blobs: BlobStore) -> None:
    found = blobs.put(b"abc", TYPE)
    assert found == descriptor(b"abc")
    assert blobs.path(found.digest).read_bytes() == b"abc"
    assert blobs.path(found.digest) == blobs.root / "blobs/sha256" / found.digest.hex
    assert blobs.read(found) == b"abc"
    assert blobs.exists(found.digest)
    assert list(blobs.digests()) == [found.digest]
    assert temporary(blobs) == []


def test_a_blob_is_readable_by_all_whatever_the_umask(blobs: BlobStore) -> None:
    before = os.umask(0o077)
    try:
        found = blobs.put(b"abc", TYPE)
    finally:
        os.umask(before)
    assert stat.S_IMODE(blobs.path(found.digest).stat().st_mode) == 0o644


def test_storing_the_same_content_twice_changes_nothing(blobs: BlobStore) -> None:
    first = blobs.put(b"abc", TYPE)
    inode = blobs.path(first.digest).stat().st_ino
    assert blobs.put(b"abc", TYPE) == first
    assert blobs.path(first.digest).stat().st_ino == inode


def test_a_copy_that_was_cut_short_is_repaired_by_storing_again(blobs: BlobStore) -> None:
    found = blobs.put(b"abc", TYPE)
    blobs.path(found.digest).write_bytes(b"")
    assert not blobs.has(found)
    blobs.put(b"abc", TYPE)
    assert blobs.read(found) == b"abc"


def test_a_stream_is_stored_when_it_is_what_was_expected(blobs: BlobStore) -> None:
    content = os.urandom(3_000_000)
    assert blobs.put_stream(io.BytesIO(content), descriptor(content), TYPE) == descriptor(content)
    assert blobs.put_stream(io.BytesIO(b"other"), None, TYPE) == descriptor(b"other")
    assert blobs.read(descriptor(content)) == content


@pytest.mark.parametrize(
    ("content", "error"),
    [(b"ab", SizeMismatch), (b"abcd", SizeMismatch), (b"abd", DigestMismatch), (b"", SizeMismatch)],
)
def test_a_stream_that_is_something_else_leaves_nothing(
    blobs: BlobStore, content: bytes, error: type[Exception]
) -> None:
    with pytest.raises(error):
        blobs.put_stream(io.BytesIO(content), descriptor(b"abc"), TYPE)
    assert list(blobs.digests()) == []
    assert temporary(blobs) == []


def test_a_stream_without_end_is_left_at_the_promised_length(blobs: BlobStore) -> None:
    with open("/dev/zero", "rb") as endless, pytest.raises(SizeMismatch):
        blobs.put_stream(endless, descriptor(b"abc"), TYPE)
    assert temporary(blobs) == []


def test_a_missing_blob_is_an_error_with_its_name(blobs: BlobStore) -> None:
    digest = Digest.of(b"gone")
    with pytest.raises(BlobNotFound, match=str(digest)):
        blobs.open(digest)
    assert not blobs.exists(digest)
    assert list(blobs.digests()) == []


def test_reading_notices_what_the_disk_has_spoiled(blobs: BlobStore) -> None:
    found = blobs.put(b"abc", TYPE)
    blobs.path(found.digest).write_bytes(b"abd")
    with pytest.raises(DigestMismatch):
        blobs.read(found)
    blobs.path(found.digest).write_bytes(b"ab")
    with pytest.raises(SizeMismatch):
        blobs.open(found)


def test_reading_into_memory_has_a_limit(blobs: BlobStore) -> None:
    found = blobs.put(b"abc", TYPE)
    with pytest.raises(SizeMismatch, match="more than the 2 permitted"):
        blobs.read(found, limit=2)


@pytest.mark.parametrize("plant", [lambda path: os.symlink("/etc/passwd", path), os.mkfifo, os.mkdir])
def test_nothing_but_a_regular_file_is_opened(blobs: BlobStore, plant: Callable[[Path], None]) -> None:
    found = descriptor(b"abc")
    blobs.path(found.digest).parent.mkdir(parents=True)
    plant(blobs.path(found.digest))
    with pytest.raises(BlobNotFound):
        blobs.open(found.digest)
    assert not blobs.has(found)


def test_removing_a_blob_twice_is_no_error(blobs: BlobStore) -> None:
    found = blobs.put(b"abc", TYPE)
    blobs.remove(found.digest)
    blobs.remove(found.digest)
    assert not blobs.exists(found.digest)


def test_a_sweep_leaves_what_is_being_written(blobs: BlobStore) -> None:
    assert blobs.sweep() == 0
    with blobs.writer() as writer:
        writer.write(b"abc")
        assert blobs.sweep() == 0
        digest, _ = writer.commit()
    assert blobs.exists(digest)


STORM = """
import sys
from collections.abc import Callable
from pathlib import Path
from pybuild.builder.oci.blobs import BlobStore
blobs = BlobStore(Path(sys.argv[1]))
for number in range(60):
    blobs.put(b"%d" % number, "text/plain")
    blobs.sweep()
"""


def test_several_processes_store_the_same_content_while_they_sweep(blobs: BlobStore) -> None:
    root = Path(__file__).parents[3]
    crowd = [subprocess.Popen([sys.executable, "-c", STORM, blobs.root], cwd=root) for _ in range(3)]
    assert [process.wait() for process in crowd] == [0, 0, 0]
    assert {blobs.path(digest).read_bytes() for digest in blobs.digests()} == {b"%d" % n for n in range(60)}
    assert temporary(blobs) == []


def test_a_full_disk_is_an_error_that_leaves_nothing(blobs: BlobStore) -> None:
    blobs.put(b"first", TYPE)
    code = """
import resource, signal, sys
from pathlib import Path
from pybuild.builder.oci.blobs import BlobStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    BlobStore(Path(sys.argv[1])).put(b"x" * 5000, "text/plain")
except OSError as error:
    sys.exit(error.errno)
"""
    ran = subprocess.run([sys.executable, "-c", code, blobs.root], check=False, cwd=Path(__file__).parents[3])
    assert ran.returncode == 27
    assert list(blobs.digests()) == [Digest.of(b"first")]
    assert temporary(blobs) == []
