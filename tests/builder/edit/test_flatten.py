from dataclasses import replace
from pathlib import Path

import pytest

from pybuild.builder.edit.documents import Documents
from pybuild.builder.edit.flatten import flattened, write_tree
from pybuild.builder.edit.rebase import BASE_DIGEST, BASE_NAME
from pybuild.builder.oci.layers.unpack import entries
from pybuild.builder.oci.validate import validate
from pybuild.builder.request import Compression
from pybuild.builder.store.machine import Machine, open_machine
from tests.helpers.images import Files, tiny_image

LAYERS: tuple[Files, ...] = (
    {"a": b"1", "gone/x": b"", "kept/y": b"old", "hidden/z": b""},
    {".wh.gone": b"", "kept/y": b"new", "hidden/.wh..wh..opq": b"", "hidden/w": b""},
)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setenv("PYBUILD_SNAPSHOTTER", "copying")
    return open_machine(tmp_path)


@pytest.mark.parametrize("algorithm", ["gzip", "zstd", "uncompressed"])
def test_the_layer_holds_what_is_there_in_the_end(machine: Machine, algorithm: str) -> None:
    image = tiny_image(machine.blobs, *LAYERS)
    layer = write_tree(machine, image, Compression(algorithm=algorithm))
    with machine.blobs.open(layer.descriptor) as stream:
        found = [entry.path for entry in entries(stream)]
    assert found == ["", "a", "hidden", "hidden/w", "kept", "kept/y"]
    made = flattened(Documents.read(machine.blobs, image), layer).write(machine.blobs, image)
    assert validate(machine.blobs, made.descriptor) == []
    machine.close()


def test_two_stores_give_the_same_layer(machine: Machine, tmp_path: Path) -> None:
    first = write_tree(machine, tiny_image(machine.blobs, *LAYERS), Compression())
    machine.close()
    other = open_machine(tmp_path / "other")
    assert write_tree(other, tiny_image(other.blobs, *LAYERS), Compression()) == first
    other.close()


def test_an_image_without_layers_has_one_afterwards(machine: Machine) -> None:
    image = tiny_image(machine.blobs)
    layer = write_tree(machine, image, Compression())
    made = flattened(Documents.read(machine.blobs, image), layer).write(machine.blobs, image)
    assert len(made.manifest.layers) == 1
    machine.close()


def test_what_tells_of_the_old_layers_goes(machine: Machine) -> None:
    image = tiny_image(machine.blobs, *LAYERS)
    documents = Documents.read(machine.blobs, image).with_annotations({BASE_NAME: "b", BASE_DIGEST: "d", "k": "v"})
    documents = replace(documents, config={**documents.config, "pybuild.cache.v1": "…", "x": 1})
    made = flattened(documents, write_tree(machine, image, Compression()))
    assert made.manifest["annotations"] == {"k": "v"}
    assert made.history == [{"created": "2024-01-02T03:04:05Z", "created_by": "pybuild flatten"}]
    assert ("pybuild.cache.v1" in made.config, made.config["x"]) == (False, 1)
    machine.close()
