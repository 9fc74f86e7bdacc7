"""A registry with a certificate of its own authority, beside Docker: both verify it, and build from it and push to it.

The registry has an address that is not one of loopback, which Docker would not verify. So everything runs in a network
namespace of the tests.
"""

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.layout import Layout
from pybuild.builder.store.directory import prepare
from tests.helpers import bases, trees
from tests.helpers.contexts import write_context
from tests.helpers.docker_registry import DockerRegistry, docker_registry
from tests.helpers.hosts import need_programs, need_root
from tests.helpers.images import tiny_image
from tests.helpers.networks import own_network
from tests.helpers.peers import Docker, docker
from tests.helpers.program import Program

pytestmark = pytest.mark.xdist_group("certificates")

ADDRESS = "192.0.2.1"
DOCKER_CERTIFICATES = "/etc/docker/certs.d"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A registry, and two builders that know its authority while *trusted* holds it."""

    registry: DockerRegistry
    program: Program
    docker: Docker
    trusted: Path
    """What pybuild reads; Docker has a copy."""

    @property
    def base(self) -> str:
        return f"{self.registry.name}/team/base:1"

    def trust(self, *files: Path) -> None:
        """Give both builders *files* about the registry, and nothing else."""
        shutil.rmtree(self.trusted / self.registry.name, ignore_errors=True)
        (self.trusted / self.registry.name).mkdir(parents=True)
        for file in files:
            shutil.copy(file, self.trusted / self.registry.name)
        tar = subprocess.run(["tar", "-C", self.trusted, "-c", "."], check=True, capture_output=True).stdout
        script = f"rm -rf {DOCKER_CERTIFICATES}; mkdir {DOCKER_CERTIFICATES} && tar -C {DOCKER_CERTIFICATES} -x"
        subprocess.run([*_within(self.docker), "sh", "-c", script], input=tar, check=True)

    def context(self) -> Path:
        """A context that builds on `base`, where Docker reads it, too."""
        return write_context(self.docker.directory / "c", {"Dockerfile": f"FROM {self.base}\nCOPY f /\n", "f": "f\n"})

    def refusals(self) -> tuple[str, str]:
        """What both say when they cannot have the base. Docker is to pull it: its builder remembers connections."""
        ours = self.program.build(self.context(), "--pull", check=False)
        assert ours.exit_code == 4
        with pytest.raises(subprocess.CalledProcessError) as theirs:
            self.docker.command("pull", self.base)
        return ours.printed, theirs.value.stderr


def _within(docker: Docker) -> list[str]:
    return ["nsenter", "--target", str(docker.pid), "--mount", "--root", "--wd", "--"]


@pytest.fixture(scope="module")
def network() -> Iterator[None]:
    need_root()
    need_programs(["docker-registry", "ip", "mmdebstrap", "openssl"])
    bases.docker_root()  # made before: there is no way out of the namespace
    with own_network():
        subprocess.run(["ip", "address", "add", f"{ADDRESS}/32", "dev", "lo"], check=True)
        yield


@pytest.fixture(scope="module", params=["server", "client"])
def scene(request: pytest.FixtureRequest, network: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    del network
    directory = tmp_path_factory.mktemp("certificates")
    config = directory / "config"
    program = Program(store=directory / "store", variables=(("XDG_CONFIG_HOME", str(config)), ("HOME", str(directory))))
    prepare(program.store)
    with (
        docker(directory / "docker") as peer,
        docker_registry(
            directory / "server", encrypted=True, address=ADDRESS, known_clients=request.param == "client"
        ) as registry,
    ):
        subprocess.run([*_within(peer), "mount", "-t", "tmpfs", "tmpfs", "/etc/docker"], check=True)
        made = Scene(registry=registry, program=program, docker=peer, trusted=config / "containers" / "certs.d")
        made.trust(*registry.own_certificates.iterdir())
        image = tiny_image(BlobStore(program.store), {"etc/name": b"base\n"}).descriptor
        Layout(program.store).tag(made.base, image)
        program.run("push", made.base)
        program.run("rmi", made.base)
        yield made


def test_both_build_from_it_and_take_what_the_other_pushes(scene: Scene) -> None:
    scene.trust(*scene.registry.own_certificates.iterdir())
    name, context = f"{scene.registry.name}/team/app", scene.context()
    scene.program.build(context, "--pull", tag=f"{name}:ours")
    scene.docker.build(context, context / "Dockerfile", f"{name}:theirs", ["--pull"])
    ours = scene.program.save(f"{name}:ours", scene.docker.directory / "ours.tar")
    theirs = scene.docker.save(f"{name}:theirs", scene.docker.directory / "theirs.tar")
    assert list(trees.differences(trees.read_archive(ours).tree, trees.read_archive(theirs).tree, started=0)) == []
    scene.program.run("push", f"{name}:ours")
    scene.docker.command("push", f"{name}:theirs")
    assert "Downloaded newer image" in scene.docker.command("pull", f"{name}:ours").stdout
    assert "Downloaded newer image" in scene.program.run("pull", f"{name}:theirs").stdout


def test_both_refuse_it_without_its_authority(scene: Scene) -> None:
    scene.trust()
    ours, theirs = scene.refusals()
    assert "unable to get local issuer certificate" in ours
    assert "certificate signed by unknown authority" in theirs


@pytest.mark.parametrize("scene", ["client"], indirect=True)
def test_both_are_refused_without_a_certificate_of_their_own(scene: Scene) -> None:
    scene.trust(scene.registry.own_certificates / "ca.crt")
    ours, theirs = scene.refusals()
    assert "if it requires a client certificate, put it into " in ours
    assert "remote error: tls: " in theirs  # "certificate required" in TLS 1.3 only
