"""Indexes that `pybuild manifest` makes, read by skopeo and podman from Debian's docker-registry."""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.layout import Layout
from pybuild.builder.store.directory import prepare
from tests.helpers.docker_registry import DockerRegistry, docker_registry
from tests.helpers.hosts import need_programs, need_root
from tests.helpers.images import AMD64, ARM64, tiny_image
from tests.helpers.program import Program

pytestmark = pytest.mark.xdist_group("registry")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    need_root()
    need_programs(["docker-registry", "skopeo", "podman"])
    with docker_registry(tmp_path_factory.mktemp("manifest") / "server") as running:
        yield running


def tool(directory: Path, *words: str) -> bytes:
    environment = {
        **os.environ,
        "HOME": str(directory),
        "CONTAINERS_REGISTRIES_CONF": str(directory / "registries.conf"),
    }
    done = subprocess.run(words, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture
def run_root(registry: DockerRegistry) -> Iterator[Path]:
    """A short path: podman refuses one of more than 50 characters, which pytest's directories easily have."""
    directory = Path(tempfile.gettempdir()) / f"run-{os.getpid()}-{registry.name.rpartition(':')[2]}"
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def test_an_index_in_a_registry_of_images_in_it_is_what_skopeo_and_podman_see(
    registry: DockerRegistry, tmp_path: Path, run_root: Path
) -> None:
    conf = f'[[registry]]\nlocation = "{registry.name}"\ninsecure = true\n'
    (tmp_path / "registries.conf").write_text(conf)
    prepare(tmp_path / "store")
    program = Program(store=tmp_path / "store", variables=(("HOME", str(tmp_path)),))
    for platform in (AMD64, ARM64):
        image = tiny_image(BlobStore(program.store), {"x": str(platform).encode()}, platform=platform)
        Layout(program.store).tag(f"docker.io/library/{platform.architecture}:1", image.descriptor)
        program.run("copy", f"{platform.architecture}:1", f"docker://{registry.name}/app:{platform.architecture}")
    name = f"{registry.name}/app:multi"
    members = [f"docker://{registry.name}/app:{platform.architecture}" for platform in (AMD64, ARM64)]
    program.run("manifest", "create", name, *members)
    program.run("manifest", "annotate", name, "linux/arm64", "--variant=v8")
    digest = program.run("manifest", "push", name).stdout.strip()
    raw = tool(tmp_path, "skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{name}")
    assert digest == f"sha256:{hashlib.sha256(raw).hexdigest()}"
    assert program.run("manifest", "inspect", "--raw", f"docker://{name}").stdout.encode() == raw
    podman = ["podman", f"--root={tmp_path}/p", f"--runroot={run_root}", "--storage-driver=vfs"]
    seen = json.loads(tool(tmp_path, *podman, "manifest", "inspect", name))
    assert [entry["platform"].get("variant", "") for entry in seen["manifests"]] == ["", "v8"]
    assert [entry["platform"]["architecture"] for entry in seen["manifests"]] == ["amd64", "arm64"]
    directly = program.run("manifest", "create", f"docker://{registry.name}/app:direct", *members).stdout.strip()
    raw = tool(tmp_path, "skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{registry.name}/app:direct")
    assert directly == f"sha256:{hashlib.sha256(raw).hexdigest()}"
