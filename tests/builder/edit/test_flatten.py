from dataclasses import replace
from pathlib import Path

import pytest

from pybuild.builder.edit.documents import ImageDocuments
from pybuild.builder.edit.flatten import flattened, write_tree
from pybuild.builder.edit.rebase import BASE_DIGEST, BASE_NAME
from pybuild.builder.oci.layers.unpack import entries
from pybuild.builder.oci.validate import validate
from pybuild.builder.request import Compression
from pybuild.builder.store.store import Store, open_store
from tests.helpers.images import Files, tiny_image

LAYERS: tuple[Files, ...] = (
    {"a": b"1", "gone/x": b"", "kept/y": b"old", "hidden/z": b""},
    {".wh.gone": b"", "kept/y": b"new", "hidden/.wh..wh..opq": b"", "hidden/w": b""},
)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("PYBUILD_SNAPSHOTTER", "copying")
    return open_store(tmp_path)


@pytest.mark.parametrize("algorithm", ["gzip", "zstd", "uncompressed"])
def test_the_layer_holds_what_is_there_in_the_end(store: Store, algorithm: str) -> None:
    image = tiny_image(store.blobs, *LAYERS)
    layer = write_tree(store, image, Compression(algorithm=algorithm))
    with store.blobs.open(layer.descriptor) as stream:
        found = [entry.path for entry in entries(stream)]
    assert found == ["", "a", "hidden", "hidden/w", "kept", "kept/y"]
    made = flattened(ImageDocuments.read(store.blobs, image), layer).write(store.blobs, image)
    assert validate(store.blobs, made.descriptor) == []
    store.close()


def test_two_stores_give_the_same_layer(store: Store, tmp_path: Path) -> None:
    first = write_tree(store, tiny_image(store.blobs, *LAYERS), Compression())
    store.close()
    other = open_store(tmp_path / "other")
    assert write_tree(other, tiny_image(other.blobs, *LAYERS), Compression()) == first
    other.close()


def test_an_image_without_layers_has_one_afterwards(store: Store) -> None:
    image = tiny_image(store.blobs)
    layer = write_tree(store, image, Compression())
    made = flattened(ImageDocuments.read(store.blobs, image), layer).write(store.blobs, image)
    assert len(made.manifest.layers) == 1
    store.close()


def test_what_tells_of_the_old_layers_goes(store: Store) -> None:
    image = tiny_image(store.blobs, *LAYERS)
    documents = ImageDocuments.read(store.blobs, image).with_annotations({BASE_NAME: "b", BASE_DIGEST: "d", "k": "v"})
    documents = replace(documents, config={**documents.config, "pybuild.cache.v1": "…", "x": 1})
    made = flattened(documents, write_tree(store, image, Compression()))
    assert made.manifest["annotations"] == {"k": "v"}
    assert made.history == [{"created": "2024-01-02T03:04:05Z", "created_by": "pybuild flatten"}]
    assert ("pybuild.cache.v1" in made.config, made.config["x"]) == (False, 1)
    store.close()
