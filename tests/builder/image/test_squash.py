from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pybuild.builder.image.squash import squash
from pybuild.builder.oci.image import Image
from pybuild.builder.oci.model import History
from pybuild.builder.request import Execution
from pybuild.builder.store.cache import Layers, image_layers
from pybuild.builder.store.store import Store, open_store
from tests.helpers.images import tiny_image


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("PYBUILD_SNAPSHOTTER", "copying")
    store = open_store(tmp_path / "store")
    yield store
    store.close()


def built(image: Image, base: int) -> Layers:
    found = image_layers(image)
    made = (replace(layer, created=f"2020-01-0{n + 1}T00:00:00Z") for n, layer in enumerate(found[base:]))
    return Layers((*found[:base], *made))


def test_layers_above_the_base_become_one_with_a_line_of_its_own(store: Store) -> None:
    image = tiny_image(store.blobs, {"a": b"1"}, {"b": b"2"}, {"c": b"3"})
    history = (
        History(created_by="base"),
        History(created_by="env", empty_layer=True),
        *(History(created_by=x) for x in "bc"),
    )
    config = replace(image.config, history=history)
    new, layers = squash(config, built(image, 1), "new", Execution(), store)
    assert layers[:1] == built(image, 1)[:1]
    assert len(layers) == 2
    assert layers[1].created == "2020-01-02T00:00:00Z"
    assert [(entry.created_by, entry.empty_layer) for entry in new.history] == [
        ("base", False),
        ("env", True),
        ("b", True),
        ("c", True),
        ("", False),
    ]
    assert squash(config, built(image, 1), "new", Execution(), store) == (new, layers)


def test_all_layers_become_one(store: Store) -> None:
    image = tiny_image(store.blobs, {"a": b"1"}, {"a": b"2"})
    _, layers = squash(image.config, built(image, 1), "all", Execution(), store)
    assert len(layers) == 1
    same = squash(image.config, built(image, 1), "new", Execution(), store)
    assert same == (image.config, built(image, 1))
