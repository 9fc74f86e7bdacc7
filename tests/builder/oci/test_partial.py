from contextlib import suppress

import pytest

from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import DigestMismatch
from pybuild.builder.oci.partial import resumed

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
