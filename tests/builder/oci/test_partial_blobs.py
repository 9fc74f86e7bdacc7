import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import BlobNotFound, DigestMismatch
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.oci.partial_blobs import Arriving, resumed

CONTENT = b"0123456789" * 1000
DIGEST = Digest.of(CONTENT)


def test_a_blob_is_gone_on_with_where_it_was_left(blobs: BlobStore) -> None:
    with resumed(blobs, DIGEST) as writer:
        writer.write(CONTENT[:4000])
    assert not blobs.exists(DIGEST)
    with resumed(blobs, DIGEST) as writer:
        assert writer.size == 4000
        writer.write(CONTENT[4000:])
        assert writer.commit(DIGEST) == (DIGEST, len(CONTENT))
    assert blobs.path(DIGEST).read_bytes() == CONTENT
    assert blobs.path(DIGEST).stat().st_mode & 0o777 == 0o644
    assert list((blobs.root / "tmp").iterdir()) == []


def test_an_error_keeps_what_is_there_and_discard_does_not(blobs: BlobStore) -> None:
    with suppress(RuntimeError), resumed(blobs, DIGEST) as writer:
        writer.write(CONTENT[:10])
        raise RuntimeError
    with resumed(blobs, DIGEST) as writer:
        assert writer.size == 10
        writer.discard()
    with resumed(blobs, DIGEST) as writer:
        assert writer.size == 0
    assert list((blobs.root / "tmp").iterdir()) == []


def test_what_is_wrong_gets_no_name_and_can_be_begun_anew(blobs: BlobStore) -> None:
    with resumed(blobs, DIGEST) as writer:
        writer.write(b"wrong")
        with pytest.raises(DigestMismatch):
            writer.commit(DIGEST)
        writer.rewind()
        writer.write(CONTENT)
        writer.commit(DIGEST)
    assert blobs.path(DIGEST).read_bytes() == CONTENT


def test_a_second_writer_of_the_same_blob_begins_its_own(blobs: BlobStore) -> None:
    with resumed(blobs, DIGEST) as first, resumed(blobs, DIGEST) as second:
        first.write(CONTENT[:100])
        assert second.size == 0
        second.write(CONTENT)
        second.commit(DIGEST)
        first.write(CONTENT[100:])
        first.commit(DIGEST)
    assert blobs.path(DIGEST).read_bytes() == CONTENT
    assert list((blobs.root / "tmp").iterdir()) == []


def test_what_nobody_goes_on_with_is_swept(blobs: BlobStore) -> None:
    with resumed(blobs, DIGEST) as writer:
        writer.write(b"x")
        assert blobs.sweep() == 0
    assert blobs.sweep() == 1
    assert list((blobs.root / "tmp").iterdir()) == []


BLOB = Descriptor(media_type="application/octet-stream", digest=DIGEST, size=len(CONTENT))
Report = Callable[[int], None]


class Reading:
    """A reader of a blob that is being downloaded, in a thread; *waits* is set while it waits for more."""

    def __init__(self, blobs: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
        self.told: list[tuple[str, int, int]] = []
        self.arriving = Arriving(blobs, lambda *told: self.told.append(told))
        self.waits = threading.Event()
        real = self.arriving._changed.wait
        monkeypatch.setattr(self.arriving._changed, "wait", lambda seconds: self.waits.set() or real(seconds))

    def report(self, done: int) -> None:
        self.arriving.report(str(DIGEST), done, len(CONTENT))

    def read(self) -> bytes:
        with self.arriving.open(BLOB) as file:
            return file.read()

    def wait(self) -> None:
        """Return when the reader has read what is there."""
        self.waits.clear()
        assert self.waits.wait(20)


@pytest.fixture
def reading(blobs: BlobStore, monkeypatch: pytest.MonkeyPatch) -> Reading:
    return Reading(blobs, monkeypatch)


def test_a_blob_can_be_read_while_it_arrives(blobs: BlobStore, reading: Reading) -> None:
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(reading.read)
        reading.wait()
        reading.report(0)
        with resumed(blobs, DIGEST) as writer:
            for part in (CONTENT[:4000], CONTENT[4000:4001], CONTENT[4001:]):
                writer.write(part)
                reading.report(writer.size)
                if writer.size < len(CONTENT):
                    reading.wait()
            writer.commit(DIGEST)
        reading.arriving.end()
        assert found.result(20) == CONTENT
    assert reading.told[-1] == (str(DIGEST), len(CONTENT), len(CONTENT))


@pytest.mark.parametrize("before", [0, 10])
def test_a_blob_that_another_process_has_completed_is_read_to_its_end(
    before: int, blobs: BlobStore, reading: Reading
) -> None:
    with ThreadPoolExecutor(1) as pool, resumed(blobs, DIGEST) as writer:
        writer.write(CONTENT[:before])
        reading.report(before)
        found = pool.submit(reading.read)
        reading.wait()
        writer.write(CONTENT[before:])
        writer.commit(DIGEST)
        reading.arriving.end()
        assert found.result(20) == CONTENT
    assert reading.read() == CONTENT


@pytest.mark.parametrize("fault", ["restart", "failure", "emptied", "stopped"])
def test_a_reader_gets_no_bytes_of_two_downloads(
    fault: str, blobs: BlobStore, reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ThreadPoolExecutor(1) as pool, resumed(blobs, DIGEST) as writer:
        writer.write(CONTENT[:4000])
        reading.report(4000)
        found = pool.submit(reading.read)
        reading.wait()
        if fault == "stopped":
            monkeypatch.setattr("pybuild.builder.oci.partial_blobs.check", lambda: 1 // 0)
        elif fault == "failure":
            reading.arriving.end()
        else:
            writer.rewind()
            reading.report(5000 if fault == "emptied" else 100)
        with pytest.raises((BlobNotFound, ZeroDivisionError)):
            found.result(20)
