"""A cache as a manifest: what is written can be read, and what does not fit together is refused."""

import pytest

from pybuild.builder.caches.document import Remembered
from pybuild.builder.caches.manifest import read_caches, write_manifest
from pybuild.builder.oci import media
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import InvalidImage
from pybuild.builder.oci.model import Index, Manifest
from pybuild.builder.store.cache import BuiltLayer, Layers
from pybuild.builder.store.store import Store
from pybuild.runtime.values import replace

KEY = Digest.of(b"key")


def remembered(store: Store, content: bytes = b"layer") -> Remembered:
    blob = store.blobs.put(content, media.OCI_LAYER_GZIP)
    layer = BuiltLayer(Digest.of(b"diff"), blob.digest, blob.size, blob.media_type, "2026-01-01T00:00:00Z")
    return Remembered(
        records={KEY: Layers([layer])}, selections={Digest.of(b"selection"): Digest.of(b"content")}, mounts=()
    )


def test_a_cache_that_was_written_is_read_again(store: Store) -> None:
    cache = remembered(store)
    found = read_caches(write_manifest(cache, store.blobs), store.blobs)
    assert (found.records, found.selections, found.mounts) == (cache.records, cache.selections, ())


def test_the_same_cache_has_the_same_digest(store: Store) -> None:
    assert write_manifest(remembered(store), store.blobs) == write_manifest(remembered(store), store.blobs)


def test_an_index_of_several_caches_is_read_as_one(store: Store) -> None:
    first = write_manifest(remembered(store), store.blobs)
    other = replace(
        remembered(store, b"other"), records={Digest.of(b"other"): remembered(store, b"other").records[KEY]}
    )
    index = Index(manifests=(first, write_manifest(other, store.blobs)))
    found = read_caches(store.blobs.put(index.to_json(), index.media_type), store.blobs)
    assert set(found.records) == {KEY, Digest.of(b"other")}


def test_an_image_without_a_cache_is_refused_with_a_way_out(store: Store) -> None:
    config = store.blobs.put(
        b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}', media.OCI_CONFIG
    )
    manifest = Manifest(config=config, layers=())
    descriptor = store.blobs.put(manifest.to_json(), manifest.media_type)
    with pytest.raises(InvalidImage, match="it has no cache of pybuild") as refusal:
        read_caches(descriptor, store.blobs)
    assert "--cache-to" in refusal.value.hint


def test_a_record_of_a_layer_that_the_manifest_does_not_list_is_refused(store: Store) -> None:
    descriptor = write_manifest(remembered(store), store.blobs)
    manifest = Manifest.from_json(store.blobs.read(descriptor), "manifest")
    without = replace(manifest, layers=())
    with pytest.raises(InvalidImage, match="is not in the manifest"):
        read_caches(store.blobs.put(without.to_json(), without.media_type), store.blobs)
