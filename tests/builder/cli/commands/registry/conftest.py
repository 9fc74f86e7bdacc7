"""The images that a registry has."""

from pathlib import Path

import pytest

from pybuild.builder.oci.blobs import BlobStore


@pytest.fixture
def source(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "source")
