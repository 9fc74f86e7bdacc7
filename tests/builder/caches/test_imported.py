"""What a cache says is not believed, but looked at."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pybuild.builder.caches.document import CONFIG_TYPE, Mount, Remembered
from pybuild.builder.caches.imported import imported
from pybuild.builder.caches.places import LocalCache, ignore_progress
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.layout import Layout
from pybuild.builder.oci.model import Manifest
from pybuild.builder.progress import Event, StepOutput, Warned
from pybuild.builder.reporter import Reporter
from pybuild.builder.request import Caches
from pybuild.builder.store.cache import BuiltLayer, Layers
from pybuild.builder.store.store import Store
from tests.helpers.images import tiny_image

KEY, OTHER = Digest.of(b"key"), Digest.of(b"other")
NAME = "cache mount /c"


def spec(tmp_path: Path) -> LocalCache:
    return LocalCache(directory=tmp_path / "cache")


def written(tmp_path: Path, remembered: Remembered, layers: Layers | None = None) -> None:
    """Write the cache; *layers* are those of the manifest when they are not those of the records."""
    blobs = BlobStore(tmp_path / "cache")
    config = blobs.put(remembered.to_json(), CONFIG_TYPE)
    listed = remembered.blobs if layers is None else tuple(item.descriptor for item in layers)
    manifest = Manifest(config=config, layers=listed)
    Layout(tmp_path / "cache").tag("latest", blobs.put(manifest.to_json(), manifest.media_type))


def asked(tmp_path: Path, store: Store, question: Callable[[Store], object]) -> tuple[object, list[str]]:
    events: list[Event] = []
    request = Caches(cache_from=(spec(tmp_path),))
    answer = question(imported(request, store, Reporter(events.append)))
    return answer, [event.message for event in events if isinstance(event, Warned)]


class SlowPlace:
    """A cache whose server wants to be asked again later."""

    name = "slow"

    def load(self, _store: Store, tell: Callable[[str], None] = ignore_progress) -> Remembered:
        tell("waiting 9 s before attempt 2 of 8: full")
        return Remembered()


def test_a_wait_for_the_documents_of_a_cache_is_told(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pybuild.builder.caches.imported.place_of", lambda _spec: SlowPlace())
    events: list[Event] = []
    with imported(Caches(cache_from=(spec(tmp_path),)), store, Reporter(events.append)):
        pass
    (said,) = (event for event in events if isinstance(event, StepOutput))
    assert said.data == b"waiting 9 s before attempt 2 of 8: full\n"


def test_a_record_comes_with_its_layers_and_stays(tmp_path: Path, store: Store, layer: BuiltLayer) -> None:
    written(tmp_path, Remembered(records={KEY: (layer,)}, selections={OTHER: KEY}))
    answer, warnings = asked(
        tmp_path, store, lambda opened: (opened.cache.imported_record(KEY), opened.cache.selection(OTHER))
    )
    assert (answer, warnings) == (((layer,), KEY), [])
    assert store.cache.record(KEY) == (layer,)
    assert store.blobs.has(layer.descriptor)
    assert store.cache.imported is None


def test_layers_are_not_brought_before_something_needs_them(tmp_path: Path, store: Store, layer: BuiltLayer) -> None:
    written(tmp_path, Remembered(records={KEY: (layer,)}))
    assert asked(tmp_path, store, lambda opened: opened.cache.imported_record(OTHER)) == (None, [])
    assert list(store.blobs.digests()) == []


def test_a_layer_with_another_diff_id_is_a_miss(tmp_path: Path, store: Store, layer: BuiltLayer) -> None:
    written(tmp_path, Remembered(records={KEY: (replace(layer, diff_id=str(OTHER)),)}))
    answer, (warning,) = asked(tmp_path, store, lambda opened: [opened.cache.imported_record(KEY) for _ in range(2)])
    assert answer == [None, None], "the blob is there the second time"
    assert "does not unpack to" in warning
    assert store.cache.record(KEY) is None


def test_a_layer_that_the_manifest_does_not_list_is_refused(tmp_path: Path, store: Store, layer: BuiltLayer) -> None:
    written(tmp_path, Remembered(records={KEY: (layer,)}), layers=())
    answer, (warning,) = asked(tmp_path, store, lambda opened: opened.cache.imported_record(KEY))
    assert answer is None
    assert "is not in the manifest" in warning


def test_an_image_without_a_cache_is_a_warning(tmp_path: Path, store: Store) -> None:
    image = tiny_image(BlobStore(tmp_path / "cache"), {"f": b"content"})
    Layout(tmp_path / "cache").tag("latest", image.descriptor)
    _, (warning,) = asked(tmp_path, store, lambda opened: opened.cache.imported_record(KEY))
    assert "it has no cache of pybuild" in warning


def test_a_cache_mount_is_unpacked_where_there_is_none(tmp_path: Path, store: Store, layer: BuiltLayer) -> None:
    mount = Mount(name=NAME, layer=layer, mode=0o700)
    written(tmp_path, Remembered(mounts=(mount,)))
    directory = store.root / "cache-mounts" / "x"
    assert asked(tmp_path, store, lambda opened: opened.cache.imported.fill_mount(NAME, directory)) == (True, [])
    assert (directory / "f").read_bytes() == b"content"
    assert directory.stat().st_mode & 0o7777 == 0o700


def test_a_cache_mount_that_is_damaged_leaves_nothing(tmp_path: Path, store: Store, layer: BuiltLayer) -> None:
    written(tmp_path, Remembered(mounts=(Mount(name=NAME, layer=layer),)))
    BlobStore(tmp_path / "cache").path(layer.descriptor.digest).write_bytes(b"x" * layer.size)
    directory = store.root / "cache-mounts" / "x"
    answer, (warning,) = asked(tmp_path, store, lambda opened: opened.cache.imported.fill_mount(NAME, directory))
    assert answer is False
    assert "has the digest" in warning
    assert list((store.root / "cache-mounts").iterdir()) == []


def test_two_builds_on_one_store_consult_their_own_caches_each(tmp_path: Path, store: Store, layer: BuiltLayer) -> None:
    written(tmp_path, Remembered(records={KEY: Layers([layer])}))
    one = imported(Caches(cache_from=(spec(tmp_path),)), store, Reporter(lambda _event: None))
    two = imported(Caches(cache_from=(LocalCache(directory=tmp_path / "none"),)), store, Reporter(lambda _event: None))
    assert two.cache.imported_record(KEY) is None
    assert store.cache.imported_record(KEY) is None
    assert one.cache.imported_record(KEY) == Layers([layer])
    assert store.cache.record(KEY) == Layers([layer])
