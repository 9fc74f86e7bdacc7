import json

import pytest

from pybuild.builder.build import build
from pybuild.builder.errors import PullFailed, RequestError
from pybuild.builder.execute import ops
from pybuild.builder.oci import media
from pybuild.builder.oci.image import read_image
from pybuild.builder.oci.model import Index
from pybuild.builder.oci.validate import validate
from pybuild.builder.outputs.docker import DockerOutput
from pybuild.builder.outputs.oci import OciOutput
from pybuild.builder.platforms import parse_platform
from pybuild.builder.progress import StepStarted, Warned
from pybuild.builder.request import Annotation, Request
from pybuild.builder.store.store import open_store
from tests.helpers.contexts import write_context
from tests.helpers.fake_execute import FakeExecute
from tests.helpers.images import AMD64, ARM64, tiny_image, tiny_index
from tests.helpers.resolving import BASE

TEXT = """FROM --platform=$BUILDPLATFORM base AS tools
RUN write /tool 1
FROM base
ARG TARGETARCH
COPY --from=tools /tool /tool
RUN write /arch $TARGETARCH
"""
BOTH = ("linux/amd64", "linux/arm64")


@pytest.fixture
def fake(monkeypatch):
    made = FakeExecute()
    monkeypatch.setattr(ops, "execute", made)
    return made


@pytest.fixture
def store(tmp_path):
    opened = open_store(tmp_path / "store")
    images = [
        tiny_image(opened.blobs, {"arch": platform.architecture.encode()}, platform=platform)
        for platform in (AMD64, ARM64)
    ]
    opened.layout.tag(BASE, tiny_index(opened.blobs, *images))
    yield opened
    opened.close()


@pytest.fixture
def context(tmp_path):
    return write_context(tmp_path / "context", {"Dockerfile": TEXT})


def test_a_build_for_several_platforms_makes_an_index_with_an_image_for_each(store, context, fake):
    outcome = build(Request.of(context=context, platforms=BOTH, tags=("a",)), store)
    assert outcome.descriptor.media_type == media.OCI_INDEX
    assert store.layout.resolve("docker.io/library/a:latest").digest == outcome.descriptor.digest
    index = Index.from_json(store.blobs.read(outcome.descriptor))
    assert [str(entry.platform) for entry in index.manifests] == list(BOTH)
    assert [image.platform for image in outcome.platforms] == list(BOTH)
    for platform, image in zip(BOTH, outcome.platforms, strict=True):
        found = read_image(store.blobs, outcome.descriptor, parse_platform(platform))
        assert (found.id, found.config.architecture) == (image.image_id, platform.partition("/")[2])
    assert validate(store.blobs, outcome.descriptor) == []


def test_each_platform_has_the_base_that_the_index_gives_it(store, context, fake):
    outcome = build(Request.of(context=context, platforms=BOTH), store)
    first = [read_image(store.blobs, image.descriptor).config.diff_ids[0] for image in outcome.platforms]
    base = store.layout.resolve(BASE)
    assert first == [read_image(store.blobs, base, platform).config.diff_ids[0] for platform in (AMD64, ARM64)]
    assert first[0] != first[1]


def test_a_stage_of_the_build_platform_is_built_once_even_without_a_cache(store, context, fake):
    events = []
    build(Request.of(context=context, platforms=BOTH, no_cache=True), store, events.append)
    names = [event.name for event in events if isinstance(event, StepStarted)]
    assert sum("RUN write /tool" in name for name in names) == 1
    assert sum("RUN write /arch" in name for name in names) == 2


def test_steps_are_named_after_their_platform(store, context, fake):
    events = []
    build(Request.of(context=context, platforms=BOTH), store, events.append)
    names = {event.name for event in events if isinstance(event, StepStarted)}
    assert "[linux/amd64 tools 2/2] RUN write /tool 1" in names
    assert {f"[{platform} stage-1 3/3] RUN write /arch {platform.rpartition('/')[2]}" for platform in BOTH} <= names


def test_the_same_build_gives_the_same_index_and_runs_nothing(store, context, fake):
    first = build(Request.of(context=context, platforms=BOTH), store)
    events = []
    assert build(Request.of(context=context, platforms=BOTH), store, events.append) == first


def test_docker_archives_take_one_platform(store, context, fake, tmp_path):
    outputs = (DockerOutput(dest=tmp_path / "image.tar"),)
    with pytest.raises(RequestError, match="does not currently support exporting manifest lists"):
        build(Request.of(context=context, platforms=BOTH, outputs=outputs), store)


def test_an_oci_directory_has_the_index_and_all_images(store, context, fake, tmp_path):
    outputs = (OciOutput(dest=tmp_path / "oci", layout=True),)
    outcome = build(Request.of(context=context, platforms=BOTH, outputs=outputs), store)
    table = json.loads((tmp_path / "oci/index.json").read_bytes())
    assert table["manifests"][0]["digest"] == str(outcome.descriptor.digest)
    for image in outcome.platforms:
        assert (tmp_path / "oci/blobs/sha256" / image.image_id.hex).exists()


def test_annotations_go_to_the_manifest_of_their_platform_and_to_the_index(store, context, fake):
    annotations = (
        Annotation(key="k", value="index", kind="index"),
        Annotation(key="k", value="arm", kind="manifest", platform="linux/arm64"),
    )
    outcome = build(Request.of(context=context, platforms=BOTH, annotations=annotations), store)
    assert Index.from_json(store.blobs.read(outcome.descriptor)).annotations == {"k": "index"}
    found = [read_image(store.blobs, image.descriptor).manifest.annotations for image in outcome.platforms]
    assert found == [{}, {"k": "arm"}]


@pytest.mark.parametrize("platform", [{"platforms": BOTH}, {"platform": "linux/arm64"}])
def test_an_index_without_the_platform_is_not_used(store, context, fake, platform):
    only = tiny_image(store.blobs, {"arch": b"amd64"}, platform=AMD64)
    store.layout.tag(BASE, tiny_index(store.blobs, only))
    with pytest.raises(PullFailed, match="in the store is for linux/amd64, not for linux/arm64") as caught:
        build(Request.of(context=context, pull="never", **platform), store)
    assert (caught.value.location, "--platform=linux/amd64" in caught.value.hint) == ("Dockerfile:3:6", True)


def test_an_image_without_an_index_is_used_for_another_platform_and_a_warning_says_so(store, context, fake):
    store.layout.tag(BASE, tiny_image(store.blobs, {"arch": b"amd64"}, platform=AMD64).descriptor)
    seen = []
    outcome = build(Request.of(context=context, pull="never", platform="linux/arm64"), store, seen.append)
    assert read_image(store.blobs, outcome.descriptor).config.architecture == "arm64"
    warned = [event.message for event in seen if isinstance(event, Warned)]
    assert any("InvalidBaseImagePlatform" in message for message in warned), warned


def test_the_base_of_a_stage_of_the_build_platform_need_not_be_for_the_others(store, tmp_path, fake):
    store.layout.tag(BASE, tiny_image(store.blobs, {"arch": b"amd64"}, platform=AMD64).descriptor)
    text = "FROM --platform=$BUILDPLATFORM base AS tools\nRUN write /tool 1\nFROM scratch\nCOPY --from=tools /tool /\n"
    context = write_context(tmp_path / "cross", {"Dockerfile": text})
    outcome = build(Request.of(context=context, pull="never", platforms=BOTH), store)
    index = Index.from_json(store.blobs.read(outcome.descriptor))
    assert [str(entry.platform) for entry in index.manifests] == list(BOTH)
    assert validate(store.blobs, outcome.descriptor) == []


def test_a_stage_of_the_build_platform_as_target_is_for_the_platform_that_was_asked_for(store, context, fake):
    outcome = build(Request.of(context=context, platform="linux/arm64", target="tools"), store)
    config = read_image(store.blobs, outcome.descriptor).config
    assert (config.os, config.architecture) == ("linux", "arm64")
    base = read_image(store.blobs, store.layout.resolve(BASE), AMD64)
    assert config.diff_ids[0] == base.config.diff_ids[0]
