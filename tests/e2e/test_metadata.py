"""What --metadata-file and --iidfile tell is what was built."""

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.contexts import write_context
from tests.helpers.program import Program

TEXT = "FROM small as one\nCOPY f /f\nMAINTAINER somebody\nFROM one as two\nCOPY f /g\n"
EPOCH = "--build-arg=SOURCE_DATE_EPOCH=1600000000"
CREATED = {"org.opencontainers.image.created": "2020-09-13T12:26:40Z"}


@pytest.fixture
def context(tmp_path: Path) -> Path:
    return write_context(tmp_path / "context", {"Dockerfile": TEXT, "f": "f\n"})


def about(program: Program, context: Path, *options: str) -> Any:
    file = context.parent / "about.json"
    program.build(context, EPOCH, *options, "--metadata-file", str(file))
    return json.loads(file.read_text())


def test_one_image_is_described_as_buildx_does(program: Program, context: Path, tmp_path: Path) -> None:
    found = about(program, context, "--iidfile", str(tmp_path / "id"), "-t", "second:2")
    entry = json.loads((program.store / "index.json").read_text())["manifests"][-1]
    assert found.pop("buildx.build.ref").startswith("pybuild/pybuild/")
    config = (tmp_path / "id").read_text()
    assert found == {
        "containerimage.config.digest": config,
        "containerimage.digest": entry["digest"],
        "containerimage.descriptor": {
            "annotations": {"config.digest": config, **CREATED},
            "mediaType": entry["mediaType"],
            "digest": entry["digest"],
            "size": entry["size"],
            "platform": entry["platform"],
        },
        "image.name": "docker.io/library/second:2,docker.io/library/built:latest",
    }


def test_an_index_has_the_configs_by_platform(program: Program, tmp_path: Path) -> None:
    context = write_context(tmp_path / "two", {"Dockerfile": "FROM scratch\nCOPY f /\n", "f": "f\n"})
    found = about(program, context, "--platform=linux/amd64,linux/arm64")
    assert {key for key in found if key.startswith("containerimage.config")} == {
        "containerimage.config.digest/linux/amd64",
        "containerimage.config.digest/linux/arm64",
    }
    assert found["containerimage.descriptor"]["annotations"] == CREATED
    assert "platform" not in found["containerimage.descriptor"]
    assert found["containerimage.descriptor"]["digest"] == found["containerimage.digest"]


def test_the_digest_is_that_of_the_form_that_was_written(program: Program, context: Path) -> None:
    plain, docker = about(program, context), about(program, context, "--format=docker")
    assert plain["containerimage.config.digest"] == docker["containerimage.config.digest"]
    assert plain["containerimage.digest"] != docker["containerimage.digest"]
    assert docker["containerimage.descriptor"]["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"


def test_each_of_several_targets_is_described(program: Program, context: Path) -> None:
    found = about(program, context, "--target=one", "--target=two=b:1")
    assert {name: each["image.name"] for name, each in found.items()} == {
        "one": "docker.io/library/built:latest",
        "two": "docker.io/library/b:1",
    }


def test_warnings_are_told_when_they_are_asked_for(program: Program, context: Path) -> None:
    assert "buildx.build.warnings" not in about(program, context)
    asking = Program(store=program.store, variables=(("BUILDX_METADATA_WARNINGS", "1"),))
    warnings = about(asking, context)["buildx.build.warnings"]
    texts = {warning["range"][0]["start"]["line"]: b64decode(warning["short"]).decode() for warning in warnings}
    assert "MaintainerDeprecated" in texts[3]
