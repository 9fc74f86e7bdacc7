from dataclasses import replace
from typing import Any

from pybuild.builder.edit.compare import Setting, layers, settings
from pybuild.builder.edit.documents import ImageDocuments
from pybuild.builder.oci.blobs import BlobStore
from tests.helpers.images import tiny_image


def documents(config: dict[str, Any], annotations: dict[str, str] | None = None, **top: Any) -> ImageDocuments:
    manifest = {} if annotations is None else {"annotations": annotations}
    return ImageDocuments(config={"rootfs": {}, "config": config, **top}, manifest=manifest)


def test_each_variable_and_each_member_of_a_map_is_a_field() -> None:
    before = documents({"Env": ["A=1", "B=2"], "Labels": {"x": "1"}, "User": "u", "Cmd": ["a"]})
    after = documents({"Env": ["B=3", "A=1"], "Labels": {"x": "1", "y": ""}, "User": "u", "Cmd": ["b"]})
    assert settings(before, after) == [
        Setting("config.Cmd", ["a"], ["b"]),
        Setting("config.Env.B", "2", "3"),
        Setting("config.Labels.y", None, ""),
    ]


def test_members_at_the_top_and_annotations_count_layers_and_history_do_not() -> None:
    before = documents({}, {"k": "1"}, os="linux", history=[{}], x={"deep": 1})
    after = documents({}, None, os="linux", x={"deep": 2})
    assert settings(before, after) == [Setting("annotations.k", "1", None), Setting("x", {"deep": 1}, {"deep": 2})]


def test_null_and_an_empty_list_are_the_same_as_nothing() -> None:
    before = documents({"Env": None, "Labels": None, "OnBuild": []})
    assert settings(before, replace(before, config={"rootfs": {}, "config": None})) == []


def test_layers_are_shared_by_what_they_unpack_to(blobs: BlobStore) -> None:
    first, second = tiny_image(blobs, {"a": b""}, {"b": b""}), tiny_image(blobs, {"a": b""}, {"c": b""}, {"d": b""})
    found = layers(first, second)
    assert [[layer.diff_id for layer in side] for side in (found.shared, found.before, found.after)] == [
        [str(first.config.diff_ids[0])],
        [str(first.config.diff_ids[1])],
        [str(second.config.diff_ids[1]), str(second.config.diff_ids[2])],
    ]
    assert found.shared[0].size == first.manifest.layers[0].size
