"""One index for two platforms, cross-built and emulated: skopeo, podman and Docker choose from it, and
both images run."""

import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.helpers.bases import small_arm64
from tests.helpers.contexts import write_context
from tests.helpers.docker_registry import docker_registry
from tests.helpers.elsewhere import Elsewhere
from tests.helpers.emulator import registered
from tests.helpers.hosts import need_emulator, need_programs, need_root, need_small_base
from tests.helpers.peers import Docker
from tests.helpers.program import Program

pytestmark = pytest.mark.xdist_group("emulator")

MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
TEXT = """
FROM --platform=$BUILDPLATFORM small-amd64 AS compile
ARG TARGETARCH
RUN printf '#!/bin/sh\\necho made for %s by %s, emulated %s\\n' "$TARGETARCH" "$(uname -m)" '"$(cat /machine)"' > /program
FROM small-$TARGETARCH
COPY --from=compile --chmod=755 /program /bin/program
RUN uname -m > /machine
CMD ["program"]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene(Elsewhere):
    """What pybuild has built and pushed; *name* is that of the index in the registry, *archive* one of it."""

    name: str
    archive: Path


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    need_root()
    need_emulator()
    need_programs(["docker-registry", "mmdebstrap", "podman", "skopeo"])
    directory = tmp_path_factory.mktemp("platforms")
    program = Program(store=directory / "store")
    program.import_tar(need_small_base(), "small-amd64")
    program.run("import", "--platform=linux/arm64", os.fspath(small_arm64()), "small-arm64")
    context = write_context(directory / "context", {"Dockerfile": TEXT})
    with docker_registry(directory / "server") as registry, registered():
        (directory / "none.conf").touch()
        name, archive = f"{registry.name}/both:1", directory / "both.tar"
        options = ("--platform=linux/amd64,linux/arm64", "--push", "-o", f"type=oci,dest={archive}")
        program.build(context, *options, tag=name)
        yield Scene(name=name, archive=archive, directory=directory)


def said(architecture: str) -> str:
    return f"made for {architecture} by x86_64, emulated {MACHINES[architecture]}\n"


@pytest.mark.parametrize("architecture", MACHINES)
def test_skopeo_chooses_the_image_of_each_platform(scene: Scene, architecture: str) -> None:
    flags = ("--override-os=linux", f"--override-arch={architecture}")
    for source in (("--tls-verify=false", f"docker://{scene.name}"), (f"oci-archive:{scene.archive}",)):
        shown = json.loads(scene.output("skopeo", *flags, "inspect", "--config", *source))
        assert (shown["os"], shown["architecture"]) == ("linux", architecture)
        assert len(shown["rootfs"]["diff_ids"]) == 3


@pytest.mark.parametrize("architecture", MACHINES)
def test_docker_pulls_and_runs_the_image_of_each_platform(scene: Scene, docker: Docker, architecture: str) -> None:
    platform = f"--platform=linux/{architecture}"
    docker.command("pull", platform, scene.name)
    (shown,) = json.loads(docker.command("image", "inspect", scene.name).stdout)
    assert shown["Architecture"] == architecture
    assert docker.run(scene.name, options=(platform,)) == said(architecture)
    docker.command("rmi", "--force", scene.name)


@pytest.mark.parametrize("architecture", MACHINES)
def test_podman_pulls_the_image_of_each_platform(scene: Scene, architecture: str) -> None:
    with tempfile.TemporaryDirectory(prefix="run-") as run_root:
        podman = (
            "podman",
            f"--root={scene.directory}/podman-{architecture}",
            f"--runroot={run_root}",
            "--storage-driver=vfs",
        )
        platform = f"--platform=linux/{architecture}"
        scene.output(*podman, "pull", platform, "--tls-verify=false", scene.name)
        shown = scene.output(*podman, "image", "inspect", "--format={{.Os}}/{{.Architecture}}", scene.name)
        assert shown.strip() == f"linux/{architecture}"
