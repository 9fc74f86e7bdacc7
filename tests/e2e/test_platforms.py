"""Images for several platforms through the command line."""

import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests.helpers.contexts import write_context
from tests.helpers.docker_daemon import FakeDaemon
from tests.helpers.program import Program

TEXT = """FROM --platform=$BUILDPLATFORM small AS tools
ARG BUILDARCH
RUN echo "built on $BUILDARCH" > /made
FROM scratch
ARG TARGETARCH TARGETPLATFORM
COPY --from=tools /made /made
COPY $TARGETARCH /arch
LABEL platform=$TARGETPLATFORM
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    return write_context(tmp_path / "context", {"Dockerfile": TEXT, "amd64": "amd64\n", "arm64": "arm64\n"})


def test_one_call_builds_for_two_platforms_and_the_commands_show_each(
    program: Program, context: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "both.tar"
    done = program.build(context, "--platform=linux/amd64,linux/arm64", "-o", f"type=oci,dest={archive}")
    assert sum("RUN echo" in step.name for step in done.steps) == 1
    for architecture in ("amd64", "arm64"):
        shown = json.loads(program.run("inspect", f"--platform=linux/{architecture}", "built").stdout)[0]
        assert shown["Architecture"] == architecture
        assert shown["Config"]["Labels"] == {"platform": f"linux/{architecture}"}
    with tarfile.open(archive) as tar:
        table = json.load(tar.extractfile("index.json"))  # type: ignore[arg-type]
        index = json.load(tar.extractfile("blobs/sha256/" + table["manifests"][0]["digest"][7:]))  # type: ignore[arg-type]
    assert [entry["platform"]["architecture"] for entry in index["manifests"]] == ["amd64", "arm64"]


def test_an_index_of_one_platform_is_made_when_asked_for(program: Program, context: Path, tmp_path: Path) -> None:
    archive = tmp_path / "one.tar"
    flags = ("--platform=linux/arm64", "--build-arg=BUILDKIT_MULTI_PLATFORM=1")
    program.build(context, *flags, "-o", f"type=oci,dest={archive}")
    with tarfile.open(archive) as tar:
        table = json.load(tar.extractfile("index.json"))  # type: ignore[arg-type]
        index = json.load(tar.extractfile("blobs/sha256/" + table["manifests"][0]["digest"][7:]))  # type: ignore[arg-type]
    assert [entry["platform"]["architecture"] for entry in index["manifests"]] == ["arm64"]


def test_a_tag_of_an_index_is_a_base_by_platform(program: Program, context: Path, tmp_path: Path) -> None:
    program.build(context, "--platform=linux/amd64,linux/arm64")
    above = write_context(tmp_path / "above", {"Dockerfile": "FROM --platform=linux/arm64 built\n"})
    program.build(above, tag="above")
    shown = json.loads(program.run("inspect", "above").stdout)[0]
    assert shown["Config"]["Labels"] == {"platform": "linux/arm64"}


def test_a_step_that_nothing_here_can_run_is_refused_with_the_remedy(program: Program, tmp_path: Path) -> None:
    context = write_context(tmp_path / "context", {"Dockerfile": 'FROM scratch\nCOPY f /f\nRUN ["/f"]\n', "f": "x"})
    done = program.build(context, "--platform=linux/unheardof", check=False)
    assert done.exit_code == 3
    assert "cannot run programs for linux/unheardof" in done.printed
    assert "qemu-user-static" in done.printed


@pytest.mark.parametrize("option", ["--load", "--output=type=docker"])
def test_what_is_built_for_one_platform_is_in_the_store_and_loaded(
    program: Program, context: Path, tmp_path: Path, option: str
) -> None:
    with FakeDaemon(tmp_path / "socket") as daemon:
        there = replace(program, variables=(("DOCKER_HOST", daemon.address),))
        there.build(context, "--platform=linux/arm64", option, tag="loaded")
    assert [entry["RepoTags"] for table in daemon.tables for entry in table] == [["loaded:latest"]]
    shown = json.loads(program.run("inspect", "loaded").stdout)[0]
    assert (shown["Architecture"], shown["RepoTags"]) == ("arm64", ["loaded:latest"])
    assert "vnd.oci.image.manifest" in shown["Descriptor"]["mediaType"]


def test_targets_are_loaded_together(program: Program, tmp_path: Path) -> None:
    context = write_context(
        tmp_path / "two", {"Dockerfile": "FROM small AS a\nLABEL x=1\nFROM small AS b\nLABEL y=1\n"}
    )
    with FakeDaemon(tmp_path / "socket") as daemon:
        there = replace(program, variables=(("DOCKER_HOST", daemon.address),))
        there.run("build", "--load", "--target=a=x:1", "--target=b=y:1", str(context))
    assert [[entry["RepoTags"] for entry in table] for table in daemon.tables] == [[["x:1"], ["y:1"]]]


def test_a_daemon_that_is_not_there_is_noticed_before_the_build(
    program: Program, context: Path, tmp_path: Path
) -> None:
    there = replace(program, variables=(("DOCKER_HOST", f"unix://{tmp_path}/none"),))
    done = there.build(context, "--load", check=False)
    assert (done.exit_code, done.steps) == (3, ())
    assert f"unix://{tmp_path}/none: no such file or directory" in done.printed


def test_one_platform_gives_an_index_when_the_build_argument_asks_for_it(program: Program, context: Path) -> None:
    for flags in (("--platform=linux/arm64",), ()):
        program.build(context, "--build-arg=BUILDKIT_MULTI_PLATFORM=1", *flags)
        listed = json.loads((program.store / "index.json").read_text())["manifests"]
        built = next(
            item for item in listed if item["annotations"]["io.containerd.image.name"].endswith("/built:latest")
        )
        index = json.loads((program.store / "blobs/sha256" / built["digest"][7:]).read_text())
        wanted = "arm64" if flags else "amd64"
        assert [item["platform"]["architecture"] for item in index["manifests"]] == [wanted]
    done = program.build(context, "--build-arg=BUILDKIT_MULTI_PLATFORM=perhaps", check=False)
    assert done.exit_code == 2
    assert "invalid boolean value for BUILDKIT_MULTI_PLATFORM" in done.printed
