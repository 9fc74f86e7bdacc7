"""A layer that an imported cache has, and the store has not."""

from dataclasses import replace
from pathlib import Path

import pytest

from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.store.cache import BuiltLayer, image_layers
from tests.helpers.images import tiny_image


@pytest.fixture
def layer(tmp_path: Path) -> BuiltLayer:
    """A layer that only the directory of the cache has."""
    (made,) = image_layers(tiny_image(BlobStore(tmp_path / "cache"), {"f": b"content"}))
    return replace(made, created="2024-01-02T03:04:05Z")
