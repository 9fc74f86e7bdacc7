import os
import stat

import pytest

from pybuild.builder.oci.errors import OciError
from pybuild.builder.oci.model import chain_ids
from pybuild.builder.store.cache import image_layers
from pybuild.builder.store.directory import default_root
from pybuild.builder.store.store import open_store
from pybuild.runtime.paths.filelock import MARK
from pybuild.runtime.paths.safepath import Root
from tests.helpers.images import tiny_image


@pytest.fixture(params=["overlay", "copying"])
def store(tmp_path, request, monkeypatch):
    monkeypatch.setenv("PYBUILD_SNAPSHOTTER", request.param)
    opened = open_store(tmp_path / "store")
    yield opened
    opened.close()


def test_the_root_is_what_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("PYBUILD_ROOT", "here")
    monkeypatch.chdir(tmp_path)
    assert default_root() == tmp_path / "here"


def test_without_a_wish_the_root_depends_on_the_user(monkeypatch, tmp_path):
    monkeypatch.delenv("PYBUILD_ROOT", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert default_root() == tmp_path / "pybuild"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_root().is_absolute()
    assert default_root() != tmp_path / "pybuild"


def test_a_store_is_private_to_its_owner(store):
    for directory in (store.root, store.root / "cache-mounts", store.root / "locks", store.root / "tmp"):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["root", "registries", "passed_over", "cache", "database", "snapshots", "unknown"])
def test_no_part_of_a_store_can_be_replaced(store, name):
    before = getattr(store, name, None)
    with pytest.raises(AttributeError, match=f"'{name}' of a Store cannot be set"):
        setattr(store, name, 3)
    assert getattr(store, name, None) is before


def test_one_view_of_a_store_consults_another_cache(store):
    seen = store.consulting(imported := object())
    assert (seen.cache.imported, store.cache.imported) == (imported, None)
    assert (seen.blobs, seen.database) == (store.blobs, store.database)
    with pytest.raises(AttributeError):
        seen.cache = store.cache


def test_opening_a_store_again_keeps_what_is_in_it(store):
    image = tiny_image(store.blobs, {"f": b"1"})
    again = open_store(store.root)
    assert again.blobs.exists(image.descriptor.digest)
    again.close()


def test_a_snapshot_of_an_image_is_the_sum_of_its_layers(store):
    image = tiny_image(store.blobs, {"a": b"1", "b": b"1"}, {"b": b"2", ".wh.a": b""})
    name = store.snapshot(image)
    assert name == chain_ids(image.config.diff_ids)[-1]
    with Root(store.snapshots.open(name)) as root:
        assert [entry.name for entry in root.scan("")] == ["b"]


def test_an_image_without_layers_has_no_snapshot(store):
    assert store.trees.unpack(()) is None


def test_only_what_is_missing_is_unpacked(store):
    image = tiny_image(store.blobs, {"a": b"1"}, {"b": b"2"})
    layers = image_layers(image)
    store.trees.unpack(layers[:1])
    store.blobs.remove(layers[0].descriptor.digest)
    assert store.trees.unpack(layers) in store.snapshots.names()
    assert len(store.snapshots.names()) == 2


def test_a_layer_that_is_not_what_its_diff_id_says_leaves_no_snapshot(store):
    good, other = (image_layers(tiny_image(store.blobs, {name: b"1"}))[0] for name in "ab")
    lie = type(good)(good.diff_id, other.digest, other.size, other.media_type)
    with pytest.raises(OciError, match="diff ID"):
        store.trees.unpack((lie,))
    assert store.snapshots.names() == ()


def test_builds_share_a_store_and_a_collection_has_it_alone(store):
    with store.in_use(), store.in_use():
        pass
    with store.collecting():
        pass


def test_opening_a_store_removes_what_killed_builders_left_in_the_temporary_directory(monkeypatch, tmp_path):
    place = tmp_path / "temporary"
    monkeypatch.setenv("TMPDIR", str(place))
    for name in ("pybuild-killed", "pybuild-of-a-user"):
        (place / name / "d").mkdir(parents=True)
    (place / "pybuild-killed" / MARK).touch()
    open_store(tmp_path / "store").close()
    assert [left.name for left in place.iterdir()] == ["pybuild-of-a-user"]
