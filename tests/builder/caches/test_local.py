from pathlib import Path

from pybuild.builder.caches.document import Remembered
from pybuild.builder.caches.local import LocalPlace
from pybuild.builder.caches.places import LocalCache
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.layout import Layout
from pybuild.builder.store.cache import BuiltLayer
from pybuild.builder.store.store import Store

KEY = Digest.of(b"key")


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
