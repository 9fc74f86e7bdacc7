from dataclasses import replace
from pathlib import Path

import pytest

from pybuild.builder.caches.document import Remembered
from pybuild.builder.caches.local import LocalPlace
from pybuild.builder.caches.places import LocalCache
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.layout import Layout
from pybuild.builder.store.cache import BuiltLayer, image_layers
from pybuild.builder.store.store import Store, open_store
from tests.helpers.images import tiny_image

KEY = Digest.of(b"key")


@pytest.fixture
def store(tmp_path: Path):
    opened = open_store(tmp_path / "store")
    yield opened
    opened.close()


@pytest.fixture
def layer(tmp_path: Path) -> BuiltLayer:
    """A layer that only the directory of the cache has."""
    (made,) = image_layers(tiny_image(BlobStore(tmp_path / "cache"), {"f": b"content"}))
    return replace(made, created="2024-01-02T03:04:05Z")


def test_a_place_is_chosen_by_its_tag_or_digest(tmp_path: Path, store: Store, layer: BuiltLayer) -> None:
    with BlobStore(tmp_path / "cache").open(layer.descriptor) as stream:
        store.blobs.put_stream(stream, layer.descriptor, layer.media_type)
    new = LocalCache(directory=tmp_path / "new", tag="v1")
    known = Remembered(records={KEY: (layer,)})
    LocalPlace(new).keep(known, store, lambda *_: None)
    digest = Layout(tmp_path / "new").resolve("v1").digest
    for asked_for in (new, LocalCache(directory=tmp_path / "new", digest=digest)):
        assert LocalPlace(asked_for).load(store) == known
    assert not (tmp_path / "new" / "tmp").exists()
