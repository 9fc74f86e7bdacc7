"""Annotations of a build, through the command line: they are read back by skopeo in tests/interop."""

import json
from pathlib import Path

import pytest

from tests.helpers.contexts import write_context
from tests.helpers.program import Program


@pytest.fixture
def context(tmp_path: Path) -> Path:
    return write_context(tmp_path / "context", {"Dockerfile": "FROM scratch\nCOPY f /\n", "f": "x"})


def manifest_of(program: Program, digest: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(
        (program.store / "blobs/sha256" / digest.removeprefix("sha256:")).read_bytes()
    )
    return found


def test_a_manifest_is_annotated_and_the_image_stays_the_same(context: Path, tmp_path: Path) -> None:
    program, about = Program(store=tmp_path / "store"), tmp_path / "metadata.json"
    found = []
    for options in ([], ["--annotation=a.b=c=d", "--annotation=manifest[linux/s390x]:no=1"]):
        program.build(context, *options, f"--metadata-file={about}")
        found.append(json.loads(about.read_text()))
    assert found[0]["containerimage.config.digest"] == found[1]["containerimage.config.digest"]
    manifests = [manifest_of(program, item["containerimage.digest"]) for item in found]
    assert [item.get("annotations") for item in manifests] == [None, {"a.b": "c=d"}]


def test_a_build_for_one_platform_has_no_index_to_annotate(context: Path, tmp_path: Path) -> None:
    built = Program(store=tmp_path / "store").build(context, "--annotation=index:a=b", check=False)
    assert built.exit_code == 2
    assert "index annotations not supported for single platform export" in built.printed


def test_an_index_is_annotated_and_a_manifest_only_for_its_platform(context: Path, tmp_path: Path) -> None:
    program, about = Program(store=tmp_path / "store"), tmp_path / "metadata.json"
    options = ("--platform=linux/amd64,linux/arm64", "--annotation=index:a=i", "--annotation=manifest[linux/arm64]:a=m")
    program.build(context, *options, f"--metadata-file={about}")
    index = manifest_of(program, json.loads(about.read_text())["containerimage.digest"])
    assert index["annotations"] == {"a": "i"}
    manifests = [manifest_of(program, item["digest"]) for item in index["manifests"]]  # type: ignore[attr-defined]
    assert [item.get("annotations") for item in manifests] == [None, {"a": "m"}]
