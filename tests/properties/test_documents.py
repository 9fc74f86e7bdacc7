"""Editing a document changes what it is about and nothing else."""

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pybuild.builder.edit.documents import ImageDocuments
from pybuild.builder.oci.json_documents import encode
from pybuild.builder.oci.model import ContainerConfig, Healthcheck, ImageConfig

NAMES = st.text("abc", min_size=1, max_size=2)
LISTS = st.none() | st.lists(NAMES, max_size=2).map(tuple)
CHECKS = st.builds(Healthcheck, test=st.lists(NAMES, max_size=2).map(tuple), retries=st.integers(0, 2))
CONFIGS = st.builds(
    ContainerConfig,
    user=st.text("ab", max_size=1),
    env=st.dictionaries(NAMES, NAMES, max_size=3).map(lambda pairs: tuple(f"{key}={pairs[key]}" for key in pairs)),
    labels=st.dictionaries(NAMES, NAMES, max_size=3).map(lambda pairs: tuple(sorted(pairs.items()))),
    volumes=st.sets(NAMES, max_size=2).map(lambda names: tuple(sorted(names))),
    entrypoint=LISTS,
    cmd=LISTS,
    healthcheck=st.none() | CHECKS,
)
IMAGES = st.builds(ImageConfig, architecture=NAMES, os=NAMES, variant=st.text("v", max_size=1), config=CONFIGS)
UNKNOWN = st.dictionaries(st.sampled_from(["X-a", "X-b"]), st.none() | st.booleans() | st.lists(st.integers()))


def with_unknown(
    config: ImageConfig, top: Mapping[str, Any], inner: Mapping[str, Any], check: Mapping[str, Any]
) -> Any:
    """The document of *config* with more members at three places; what is empty is null, as some tools write it."""
    document = json.loads(config.to_json())
    container = {"Cmd": None, "Labels": None, "Volumes": None} | document["config"] | inner
    if "Healthcheck" in container:
        container["Healthcheck"] |= check
    return {**document, **top, "config": container}


@given(IMAGES, IMAGES, UNKNOWN, UNKNOWN, UNKNOWN)
def test_an_edited_config_says_what_is_wanted_and_keeps_the_rest(
    before: ImageConfig,
    after: ImageConfig,
    top: Mapping[str, Any],
    inner: Mapping[str, Any],
    check: Mapping[str, Any],
) -> None:
    raw = with_unknown(before, top, inner, check)
    known = ImageConfig.from_json(encode(raw))
    edited = ImageDocuments(config=raw, manifest={}).with_config(known, after).config
    assert ImageConfig.from_json(encode(edited)).to_json() == after.to_json()
    assert {key: edited[key] for key in top} == top
    assert {key: edited["config"][key] for key in inner} == inner
    if before.config.healthcheck and after.config.healthcheck:
        assert {key: edited["config"]["Healthcheck"][key] for key in check} == check


@given(IMAGES, UNKNOWN)
def test_an_edit_that_changes_nothing_gives_the_same_document(image: ImageConfig, unknown: Mapping[str, Any]) -> None:
    raw = with_unknown(image, unknown, unknown, unknown)
    known = ImageConfig.from_json(encode(raw))
    assert encode(ImageDocuments(config=raw, manifest={}).with_config(known, known).config) == encode(raw)
