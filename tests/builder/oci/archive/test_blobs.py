"""An OCI layout in an archive, extracted unchanged."""

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pybuild.builder.oci.archive.blobs import take_blobs
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import DigestMismatch, InvalidImage, LayerError
from tests.helpers.images import tar_of

_CONTENT = b"content of a blob"
_DIGEST = Digest.of(_CONTENT)
_INDEX = json.dumps({"schemaVersion": 2, "manifests": []}).encode()


def archive(**more: bytes) -> bytes:
    return tar_of({f"blobs/sha256/{_DIGEST.hex}": _CONTENT, "index.json": _INDEX, **more})


@pytest.mark.parametrize("compress", [lambda data: data, gzip.compress])
def test_every_blob_is_taken_and_the_index_returned(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    blobs = BlobStore(tmp_path)
    index = take_blobs(blobs, io.BytesIO(compress(archive(**{"oci-layout": b"{}"}))))
    assert index.manifests == ()
    with blobs.open(_DIGEST) as file:
        assert file.read() == _CONTENT
    assert list(blobs.digests()) == [_DIGEST]


def test_a_blob_that_is_not_what_its_name_says_is_refused(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path)
    wrong = tar_of({f"blobs/sha256/{_DIGEST.hex}": b"other", "index.json": _INDEX})
    with pytest.raises(DigestMismatch):
        take_blobs(blobs, io.BytesIO(wrong))
    assert list(blobs.digests()) == []


def test_an_archive_without_an_index_has_a_hint(tmp_path: Path) -> None:
    with pytest.raises(InvalidImage, match=r"no index\.json") as caught:
        take_blobs(BlobStore(tmp_path), io.BytesIO(tar_of({"manifest.json": b"[]"})))
    assert "docker-archive:" in caught.value.hint


def test_symlinks_are_skipped(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path)
    take_blobs(blobs, io.BytesIO(tar_of({"index.json": _INDEX}, {f"blobs/sha256/{_DIGEST.hex}": "/etc/passwd"})))
    assert list(blobs.digests()) == []


def test_something_else_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(LayerError):
        take_blobs(BlobStore(tmp_path), io.BytesIO(b"text" * 1000))
