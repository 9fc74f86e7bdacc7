import json
from dataclasses import replace
from typing import Any

import pytest

from pybuild.builder.edit.documents import ImageDocuments
from pybuild.builder.edit.rebase import BASE_DIGEST, BASE_NAME, BaseImage, rebased, recorded_base
from pybuild.builder.errors import RequestError
from pybuild.builder.oci.blobs import BlobStore
from tests.helpers.images import Files, tiny_image

OLD: tuple[Files, ...] = ({"base": b"1"}, {"base2": b"1"})
NEW: tuple[Files, ...] = ({"base": b"2"},)
OWN: tuple[Files, ...] = ({"app": b"x"}, {"app2": b"y"})


def base(blobs: BlobStore, layers: tuple[Files, ...], name: str = "docker.io/library/b:1", **config: Any) -> BaseImage:
    image = tiny_image(blobs, *layers)
    documents = ImageDocuments.read(blobs, image)
    return BaseImage("b", name, image, replace(documents, config={**documents.config, **config}))


def documents(blobs: BlobStore, history: list[dict[str, Any]] | None = None, **config: Any) -> ImageDocuments:
    found = ImageDocuments.read(blobs, tiny_image(blobs, *OLD, *OWN))
    own = found.history if history is None else history
    return replace(found, config={**found.config, "history": own, **config})


def texts(entries: list[Any]) -> list[str]:
    return [entry.get("created_by", "") for entry in entries]


def test_the_new_base_takes_the_place_of_the_old(blobs: BlobStore) -> None:
    image, old, new = documents(blobs), base(blobs, OLD), base(blobs, NEW)
    made = rebased(image, old, new, text="i")
    assert made.diff_ids == [*new.documents.diff_ids, *image.diff_ids[2:]]
    assert made.layers == [*new.documents.layers, *image.layers[2:]]
    assert texts(made.history) == ["COPY layer 0 # test", "COPY layer 2 # test", "COPY layer 3 # test"]


def test_the_config_stays_but_for_the_platform_and_build_caches(blobs: BlobStore) -> None:
    image = documents(blobs, **{"x": 1, "os.version": "old", "pybuild.cache.v1": "…", "moby.buildkit.cache.v0": "…"})
    new = base(blobs, NEW, variant="v3", config={"Env": ["FROM=base"]})
    made = rebased(image, base(blobs, OLD), new, text="i").config
    assert (made["config"], made["x"], made["created"]) == (image.config["config"], 1, image.config["created"])
    assert made["variant"] == "v3"
    assert not {"os.version", "pybuild.cache.v1", "moby.buildkit.cache.v0"} & set(made)


def test_annotations_name_the_new_base(blobs: BlobStore) -> None:
    image = documents(blobs).with_annotations({"kept": "1", BASE_NAME: "old", BASE_DIGEST: "old"})
    new = base(blobs, NEW)
    digest = str(new.image.descriptor.digest)
    made = rebased(image, base(blobs, OLD), new, text="i").manifest["annotations"]
    assert made == {"kept": "1", BASE_NAME: "docker.io/library/b:1", BASE_DIGEST: digest}
    made = rebased(image, base(blobs, OLD), base(blobs, NEW, name=""), text="i").manifest["annotations"]
    assert made == {"kept": "1", BASE_DIGEST: digest}


def test_the_instructions_of_the_old_base_that_made_no_layer_go_with_it(blobs: BlobStore) -> None:
    entries: list[dict[str, Any]] = [{"created_by": name} for name in ("b1", "b2", "a1", "a2")]
    cmd = {"created_by": "CMD base", "empty_layer": True}
    env = {"created_by": "ENV own", "empty_layer": True}
    old = base(blobs, OLD, history=[*entries[:2], cmd])
    made = rebased(documents(blobs, [*entries[:2], cmd, env, *entries[2:]]), old, base(blobs, NEW), text="i")
    assert texts(made.history) == ["COPY layer 0 # test", "ENV own", "a1", "a2"]


def test_a_history_that_tells_the_base_otherwise_is_cut_behind_its_layers(blobs: BlobStore) -> None:
    entries: list[dict[str, Any]] = [{"created_by": name} for name in ("squashed", "b2", "a1", "a2")]
    env = {"created_by": "ENV", "empty_layer": True}
    made = rebased(documents(blobs, [env, *entries]), base(blobs, OLD), base(blobs, NEW), text="i")
    assert texts(made.history) == ["COPY layer 0 # test", "a1", "a2"]


@pytest.mark.parametrize("layers", [NEW, (*OLD, {"other": b""}), (*OLD, *OWN, *NEW)])
def test_an_image_that_stands_on_something_else_is_refused(blobs: BlobStore, layers: tuple[Files, ...]) -> None:
    with pytest.raises(RequestError, match="i is not based on b: "):
        rebased(documents(blobs), base(blobs, layers), base(blobs, NEW), text="i")


def test_an_image_without_layers_of_its_own_becomes_the_new_base(blobs: BlobStore) -> None:
    found = ImageDocuments.read(blobs, tiny_image(blobs, *OLD))
    new = base(blobs, NEW)
    assert rebased(found, base(blobs, OLD), new, text="i").diff_ids == new.documents.diff_ids


def test_a_recorded_base_is_found_by_its_digest(blobs: BlobStore) -> None:
    image = tiny_image(blobs, *OLD)
    found = recorded_base(blobs, {BASE_DIGEST: str(image.descriptor.digest)})
    assert found == replace(image.descriptor, platform=None)
    assert recorded_base(blobs, {BASE_NAME: "b"}) is None


@pytest.mark.parametrize("text", ["no digest", "sha256:" + "0" * 64, "sha256:../../etc/passwd"])
def test_a_record_that_leads_nowhere_is_told(blobs: BlobStore, text: str) -> None:
    with pytest.raises(RequestError):
        recorded_base(blobs, {BASE_DIGEST: text})


@pytest.mark.parametrize("content", [b"no document", json.dumps({"a": 1}).encode(), b" " * (4 << 20) + b"{}"])
def test_a_record_of_what_is_no_image_is_refused(blobs: BlobStore, content: bytes) -> None:
    blob = blobs.put(content, "x")
    with pytest.raises(RequestError, match="does not name an image"):
        recorded_base(blobs, {BASE_DIGEST: str(blob.digest)})
