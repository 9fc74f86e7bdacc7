import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import DigestMismatch
from pybuild.builder.oci.model import Descriptor

TYPE = "text/plain"


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "store")


def temporary(blobs: BlobStore) -> list[str]:
    return os.listdir(blobs.root / "tmp")


def test_a_writer_that_is_not_committed_leaves_nothing(blobs: BlobStore) -> None:
    with blobs.writer() as writer:
        writer.write(b"abc")
    assert list(blobs.digests()) == []
    assert temporary(blobs) == []


def test_a_writer_with_the_wrong_content_commits_nothing(blobs: BlobStore) -> None:
    with blobs.writer() as writer:
        writer.write(b"abc")
        with pytest.raises(DigestMismatch):
            writer.commit(Digest.of(b"abd"))
    assert list(blobs.digests()) == []


def test_the_disk_begins_with_a_large_blob_before_it_is_complete(
    blobs: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "posix_fadvise", lambda _fd, start, length, _advice: asked.append((start, length)))
    with blobs.writer() as writer:
        for _ in range(20):
            writer.write(bytes(1 << 20))
        assert asked == [(0, 8 << 20), (8 << 20, 8 << 20)]
        writer.rewind()
        writer.write(bytes(9 << 20))
        assert asked[2:] == [(0, 9 << 20)]


def test_a_writer_can_use_sha512(blobs: BlobStore) -> None:
    with blobs.writer("sha512") as writer:
        writer.write(memoryview(b"abc"))
        digest, size = writer.commit()
    assert (digest.algorithm, size) == ("sha512", 3)
    assert blobs.read(Descriptor(media_type=TYPE, digest=digest, size=size)) == b"abc"
    assert list(blobs.digests()) == [digest]


CRASH = """
import os, signal, sys
from pathlib import Path
from pybuild.builder.oci.blobs import BlobStore
writer = BlobStore(Path(sys.argv[1])).writer()
writer.write(b"half")
if sys.argv[2] == "sync":
    os.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    writer.commit()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("moment", ["write", "sync"])
def test_a_writer_that_was_killed_leaves_a_store_that_works(blobs: BlobStore, moment: str) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", CRASH, blobs.root, moment], check=False, cwd=Path(__file__).parents[3]
    )
    assert killed.returncode == -signal.SIGKILL
    assert list(blobs.digests()) == []
    assert len(temporary(blobs)) == 1
    assert blobs.read(blobs.put(b"half", TYPE)) == b"half"
    assert blobs.sweep() == 1
    assert temporary(blobs) == []
    assert list(blobs.digests()) == [Digest.of(b"half")]
