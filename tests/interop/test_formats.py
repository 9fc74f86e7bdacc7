"""skopeo, podman and Docker read images in Docker's media types, and zstd layers, that pybuild writes and pushes."""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.helpers.contexts import write_context
from tests.helpers.docker_registry import DockerRegistry, docker_registry
from tests.helpers.elsewhere import Elsewhere
from tests.helpers.hosts import need_programs, need_root, need_small_base
from tests.helpers.peers import Docker
from tests.helpers.program import Program

pytestmark = pytest.mark.xdist_group("registry")

TEXT = 'FROM small\nCOPY f /f\nCMD ["cat", "/f"]\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene(Elsewhere):
    """A registry, a store with a base, a context, and a home of their own for the other tools."""

    registry: DockerRegistry
    program: Program
    context: Path
    run_root: str

    def podman(self, *command: str) -> str:
        flags = ("--root", str(self.directory / "podman"), "--runroot", self.run_root, "--storage-driver=vfs")
        return self.output("podman", *flags, *command)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    need_root()
    need_programs(["docker-registry", "podman", "skopeo"])
    directory = tmp_path_factory.mktemp("formats")
    program = Program(store=directory / "store")
    program.import_tar(need_small_base(), "small")
    context = write_context(directory / "context", {"Dockerfile": TEXT, "f": "read back\n"})
    (directory / "none.conf").touch()
    with docker_registry(directory / "server") as registry, tempfile.TemporaryDirectory(prefix="run-") as run_root:
        yield Scene(registry=registry, program=program, context=context, directory=directory, run_root=run_root)


def raw(scene: Scene, name: str) -> dict[str, object]:
    document: dict[str, object] = json.loads(
        scene.output("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{name}")
    )
    return document


def test_a_pushed_manifest_of_docker_has_its_types_and_podman_pulls_it(scene: Scene) -> None:
    name = f"{scene.registry.name}/docker:1"
    scene.program.build(scene.context, "--format=docker", "--push", tag=name)
    found = raw(scene, name)
    assert found["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    scene.podman("pull", "--tls-verify=false", name)
    shown = json.loads(scene.podman("image", "inspect", name))[0]
    assert shown["Config"]["Cmd"] == ["cat", "/f"]
    assert shown["ManifestType"] == found["mediaType"]


def test_a_pushed_list_of_docker_is_read_by_platform(scene: Scene) -> None:
    name = f"{scene.registry.name}/list:1"
    context = write_context(scene.directory / "two", {"Dockerfile": "FROM scratch\nCOPY f /f\n", "f": "f\n"})
    platforms = "--platform=linux/amd64,linux/arm64"
    scene.program.build(context, platforms, "-o", "type=registry,oci-mediatypes=false", tag=name)
    assert raw(scene, name)["mediaType"] == "application/vnd.docker.distribution.manifest.list.v2+json"
    flags = ("--override-os=linux", "--override-arch=arm64", "--tls-verify=false")
    shown = json.loads(scene.output("skopeo", "inspect", "--config", *flags, f"docker://{name}"))
    assert shown["architecture"] == "arm64"


def test_docker_loads_and_runs_an_archive_of_its_own_types(scene: Scene, docker: Docker, tmp_path: Path) -> None:
    archive = tmp_path / "archive.tar"
    options = f"type=docker,dest={archive},oci-mediatypes=false"
    scene.program.build(scene.context, "--squash-all", "-o", options, tag="loaded:1")
    with archive.open("rb") as file:
        docker.command("load", stdin=file)
    assert docker.run("loaded:1") == "read back\n"
    docker.command("rmi", "--force", "loaded:1")


@pytest.mark.parametrize("options", ["oci-mediatypes=false", "compression=zstd,force-compression=true"])
def test_skopeo_unpacks_what_an_archive_holds(scene: Scene, tmp_path: Path, options: str) -> None:
    archive = tmp_path / "archive.tar"
    scene.program.build(scene.context, "-o", f"type=oci,dest={archive},{options}")
    layers = [f"oci-archive:{archive}", f"dir:{tmp_path / 'folder'}"]
    scene.output("skopeo", "copy", "--insecure-policy", *layers)
    manifest = json.loads((tmp_path / "folder" / "manifest.json").read_text())
    top = manifest["layers"][-1]
    command = ("tar", "--extract", "--to-stdout", "--zstd" if "zstd" in options else "--gzip")
    content = scene.output(*command, "--file", str(tmp_path / "folder" / top["digest"][7:]), "f")
    assert content == "read back\n"
