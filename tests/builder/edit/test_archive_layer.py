import gzip
import io
from pathlib import Path

import pytest

from pybuild.builder.edit.archive_layer import store_archive
from pybuild.builder.errors import RequestError
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import LayerError
from pybuild.builder.request import Compression
from tests.helpers.images import tar_of

TAR = tar_of({"a": b"x" * 5000, "b/.wh.c": b""})


@pytest.mark.parametrize("algorithm", ["gzip", "zstd", "uncompressed"])
@pytest.mark.parametrize("archive", [TAR, gzip.compress(TAR, mtime=0)])
def test_a_layer_unpacks_to_the_archive(tmp_path: Path, archive: bytes, algorithm: str) -> None:
    blobs = BlobStore(tmp_path)
    layer = store_archive(blobs, io.BytesIO(archive), Compression(algorithm=algorithm), "a layer")
    assert layer.diff_id == Digest.of(TAR)
    assert layer.descriptor.media_type.endswith({"uncompressed": "tar"}.get(algorithm, f"+{algorithm}"))
    assert blobs.has(layer.descriptor)


@pytest.mark.parametrize(
    "content", [b"text", TAR[:700], tar_of({"x/.wh..wh.y": b""}), gzip.compress(TAR, mtime=0)[:-4]]
)
def test_what_would_not_be_unpacked_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(LayerError):
        store_archive(BlobStore(tmp_path), io.BytesIO(content), Compression(), "a layer")


def test_an_archive_without_entries_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="expected a layer"):
        store_archive(BlobStore(tmp_path), io.BytesIO(tar_of({})), Compression(), "a layer")
