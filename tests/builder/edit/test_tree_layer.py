import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybuild.builder.edit.documents import ImageDocuments
from pybuild.builder.edit.tree_layer import store_difference, unpacked_archive, with_difference
from pybuild.builder.errors import BuildError
from pybuild.builder.oci.layers.unpack import entries
from pybuild.builder.oci.validate import validate
from pybuild.builder.request import Compression
from pybuild.builder.store.store import Store, open_store
from tests.helpers.hosts import need_root
from tests.helpers.images import tar_of, tiny_image

ENTRY = {"created": "2024-01-01T00:00:00Z", "created_by": "test", "author": "me"}


@pytest.fixture(params=["copying", "overlay"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    if request.param == "overlay":
        need_root()
    monkeypatch.setenv("PYBUILD_SNAPSHOTTER", request.param)
    store = open_store(tmp_path / "store")
    yield store
    assert not [name for kind in ("snapshots", "trees") for name in (store.root / kind).glob("tmp-*")]
    store.close()


def test_an_archive_of_other_files_is_a_layer_of_changes(store: Store) -> None:
    image = tiny_image(store.blobs, {"same": b"1", "gone/x": b"2", "other": b"3"}, {"upper": b"4"})
    with unpacked_archive(store, io.BytesIO(tar_of({"same": b"1", "other": b"!", "upper": b"4"}))) as tree:
        layer = store_difference(store, image, tree, Compression())
    assert layer is not None
    with store.blobs.open(layer.descriptor) as stream:
        assert [entry.path for entry in entries(stream)] == [".wh.gone", "other"]
    made = with_difference(ImageDocuments.read(store.blobs, image), layer, ENTRY).write(store.blobs, image)
    assert validate(store.blobs, made.descriptor) == []
    assert (made.config.created, made.config.author) == (ENTRY["created"], "me")


def test_the_tree_of_the_image_itself_is_no_difference(store: Store) -> None:
    image = tiny_image(store.blobs, {"a": b"1"})
    tree = store.snapshots.open(store.snapshot(image))
    assert store_difference(store, image, tree, Compression()) is None
    os.close(tree)


@pytest.mark.parametrize(("raw", "problem"), [(b"no archive" * 100, "failed to unpack"), (bytes(1024), "is empty")])
def test_what_is_no_root_file_system_is_refused(store: Store, raw: bytes, problem: str) -> None:
    with pytest.raises(BuildError, match=problem), unpacked_archive(store, io.BytesIO(raw)):
        raise AssertionError
