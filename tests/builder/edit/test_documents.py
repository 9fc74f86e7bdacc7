import json
from dataclasses import replace
from typing import Any

import pytest

from pybuild.builder.edit.documents import ImageDocuments
from pybuild.builder.oci import media
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.image import Image, read_image
from pybuild.builder.oci.validate import validate
from tests.helpers.images import tiny_image


def foreign(blobs: BlobStore, config: dict[str, Any], manifest: dict[str, Any], kind: str) -> Image:
    """An image with more members than we know, as another tool may have written it."""
    image = tiny_image(blobs, {"a": b"1"}, {"b": b"2"})
    document = json.loads(blobs.read(image.manifest.config)) | config
    stored = blobs.put(json.dumps(document, indent=1).encode(), "application/octet-stream")
    members = json.loads(blobs.read(image.descriptor)) | manifest | {"mediaType": kind}
    members["config"] |= {"digest": str(stored.digest), "size": stored.size}
    return read_image(blobs, blobs.put(json.dumps(members, indent=2).encode(), kind))


def test_nothing_is_written_when_nothing_changes(blobs: BlobStore) -> None:
    image = foreign(blobs, {}, {}, media.DOCKER_MANIFEST)
    assert ImageDocuments.read(blobs, image).write(blobs, image) == image


def test_unknown_members_are_kept(blobs: BlobStore) -> None:
    config = {"docker_version": "20", "config": {"Env": ["A=1"], "Tty": True, "Labels": None}, "x": {"y": [1.5]}}
    image = foreign(blobs, config, {"x-more": [1], "annotations": {"k": "v"}}, media.OCI_MANIFEST)
    after = replace(image.config, config=replace(image.config.config, env=("B=2",), labels=(("l", "v"),)))
    made = ImageDocuments.read(blobs, image).with_config(image.config, after).write(blobs, image)
    written = json.loads(blobs.read(made.manifest.config))
    assert written["config"] == {"Env": ["B=2"], "Tty": True, "Labels": {"l": "v"}}
    assert (written["docker_version"], written["x"]) == ("20", {"y": [1.5]})
    manifest = json.loads(blobs.read(made.descriptor))
    assert (manifest["x-more"], manifest["annotations"]) == ([1], {"k": "v"})
    assert validate(blobs, made.descriptor) == []


def test_a_value_that_is_removed_leaves_no_member(blobs: BlobStore) -> None:
    image = foreign(blobs, {"config": {"User": "x", "Cmd": None}}, {}, media.OCI_MANIFEST)
    after = replace(image.config, config=replace(image.config.config, user=""))
    made = ImageDocuments.read(blobs, image).with_config(image.config, after).write(blobs, image)
    assert json.loads(blobs.read(made.manifest.config))["config"] == {"Cmd": None}


def test_a_docker_manifest_becomes_one_of_oci(blobs: BlobStore) -> None:
    layers = [
        {"mediaType": media.DOCKER_LAYER_GZIP, "digest": str(layer.digest), "size": layer.size, "urls": ["http://x"]}
        for layer in tiny_image(blobs, {"a": b"1"}, {"b": b"2"}).manifest.layers
    ]
    image = foreign(blobs, {}, {"layers": layers}, media.DOCKER_MANIFEST)
    made = ImageDocuments.read(blobs, image).with_annotations({"k": "v"}).write(blobs, image)
    assert made.manifest.media_type == media.OCI_MANIFEST
    assert made.manifest.config.digest == image.manifest.config.digest
    assert [(layer.media_type, layer.urls) for layer in made.manifest.layers] == [
        (media.OCI_LAYER_GZIP, ("http://x",))
    ] * 2
    assert validate(blobs, made.descriptor) == []


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        (None, [{}, {}]),
        ([{"created_by": "b"}], [{}, {"created_by": "b"}]),
        ([{"created_by": "a"}, {"empty_layer": True}, {"created_by": "b"}], None),
        ([{}, {}, {}], [{}, {}, *[{"empty_layer": True}] * 3]),
    ],
)
def test_the_history_has_an_entry_for_each_layer(
    blobs: BlobStore, history: list[dict[str, Any]] | None, expected: list[dict[str, Any]] | None
) -> None:
    image = foreign(blobs, {"history": history}, {}, media.OCI_MANIFEST)
    assert ImageDocuments.read(blobs, image).history == (history if expected is None else expected)
