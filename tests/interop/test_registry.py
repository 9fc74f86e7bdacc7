"""Debian's docker-registry between pybuild and Docker, skopeo, podman and buildah: what one pushes the others pull."""

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.layout import Layout
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.oci.validate import validate, validate_store
from pybuild.builder.store.directory import prepare
from tests.helpers.docker_registry import PASSWORD, USER, DockerRegistry, docker_registry
from tests.helpers.hosts import need_programs, need_root
from tests.helpers.images import AMD64, ARM64, tiny_image, tiny_index
from tests.helpers.partial import kill_halfway
from tests.helpers.peers import Docker
from tests.helpers.program import Program
from tests.helpers.thorough import some_in_ci

pytestmark = pytest.mark.xdist_group("registry")

KINDS = {"plain": (False, False), "password": (True, False), "tls": (False, True), "tls-and-password": (True, True)}
"""The first and the last are for CI: what the others ask for, the last does as well."""
TOOLS = ("skopeo", "podman", "buildah")
LOGIN = ("login", "-u", USER, "--password-stdin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A registry, and pybuild with a store, credentials and certificates of its own."""

    registry: DockerRegistry
    directory: Path
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(1000)))

    @property
    def store(self) -> Path:
        return self.directory / "store"

    @property
    def authfile(self) -> Path:
        """Written by pybuild, read by all."""
        return self.directory / "auth.json"

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            **Program(store=self.store).environment,
            "HOME": str(self.directory),
            "REGISTRY_AUTH_FILE": str(self.authfile),
            "CONTAINERS_REGISTRIES_CONF": str(self.directory / "none.conf"),
            "XDG_CONFIG_HOME": str(self.directory / "config"),
        }

    def pybuild(self, *arguments: str, code: int = 0, stdin: str = "", store: Path | None = None) -> str:
        """Run pybuild and return what it printed on both streams."""
        where = ["--root", str(store)] if store else []
        done = subprocess.run(
            [sys.executable, "-m", "pybuild", *where, *arguments],
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    def name(self, tag: str = "1") -> str:
        """A name that nobody has used yet."""
        return f"{self.registry.name}/team/app-{next(self.numbers)}:{tag}"

    def flags(self, tool: str, side: str = "") -> list[str]:
        """How *tool* is told about certificates and credentials; skopeo wants to know for which *side*."""
        prefix = f"--{side}-" if side else "--"
        certificates = [f"{prefix}cert-dir", str(self.registry.own_certificates)] if self.registry.encrypted else []
        verify = [f"{prefix}tls-verify={str(self.registry.encrypted).lower()}"]
        authfile = ["--authfile", str(self.authfile)] if self.registry.guarded else []
        return [*verify, *certificates, *authfile]

    def tool(self, tool: str, *arguments: str) -> str:
        """Run podman or buildah on storage of its own, or skopeo."""
        storage = [] if tool == "skopeo" else [*self._storage(), "--storage-driver=vfs"]
        policy = ["--insecure-policy"] if tool == "skopeo" else []
        environment = {**os.environ, "HOME": str(self.directory), "REGISTRY_AUTH_FILE": str(self.authfile)}
        done = subprocess.run(
            [tool, *storage, *policy, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{tool} {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    @property
    def run_root(self) -> Path:
        """A short path: podman refuses one of more than 50 characters, which pytest's directories easily have."""
        return Path(tempfile.gettempdir()) / f"run-{os.getpid()}-{self.registry.name.rpartition(':')[2]}"

    def _storage(self) -> list[str]:
        return [f"--root={self.directory}/containers", f"--runroot={self.run_root}"]

    def digest(self, name: str) -> str:
        """The digest that the registry has under a name, as skopeo sees it."""
        raw = self.tool("skopeo", "inspect", "--raw", *self.flags("skopeo"), f"docker://{name}")
        return f"sha256:{hashlib.sha256(raw.encode()).hexdigest()}"

    def image(self, name: str) -> Descriptor:
        """An image in the store of pybuild, under a name."""
        return self._tagged(name, tiny_image(BlobStore(self.store), *self._layers(name)).descriptor)

    def index(self, name: str) -> Descriptor:
        """An index of images for two platforms."""
        images = [tiny_image(BlobStore(self.store), *self._layers(name), platform=p) for p in (AMD64, ARM64)]
        return self._tagged(name, tiny_index(BlobStore(self.store), *images))

    def _layers(self, name: str) -> list[dict[str, bytes]]:
        noise = random.Random(name)
        return [{"etc/name": name.encode()}, {"data": noise.randbytes(200_000)}]

    def _tagged(self, name: str, descriptor: Descriptor) -> Descriptor:
        Layout(self.store).tag(name, descriptor)
        return descriptor


@pytest.fixture(scope="module", params=some_in_ci(list(KINDS), 3))
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    need_root()
    need_programs(["docker-registry", "openssl", *TOOLS])
    guarded, encrypted = KINDS[request.param]
    directory = tmp_path_factory.mktemp("registry")
    with docker_registry(directory / "server", guarded=guarded, encrypted=encrypted) as registry:
        if encrypted:
            (directory / "config" / "containers").mkdir(parents=True)
            (directory / "config" / "containers" / "certs.d").symlink_to(registry.certificates)
        made = Scene(registry=registry, directory=directory)
        prepare(made.store)
        made.authfile.write_text("{}")
        if guarded:
            assert "Login Succeeded" in made.pybuild(*LOGIN, registry.name, stdin=PASSWORD)
        yield made
        shutil.rmtree(made.run_root, ignore_errors=True)
        assert validate_store(made.store) == []


def pushed(scene: Scene, name: str) -> str:
    """Push with pybuild and return the digest that it printed."""
    last = scene.pybuild("push", name).splitlines()[-1]
    assert last.startswith("1: digest: sha256:")
    return last.split()[2]


def pulled(scene: Scene, name: str, *flags: str) -> str:
    """Pull with pybuild into an empty store, check everything and return the digest that it printed."""
    store = scene.directory / f"pulled-{next(scene.numbers)}"
    printed = scene.pybuild("pull", *flags, name, store=store)
    assert f"Status: Downloaded newer image for {name}" in printed
    ((_, descriptor),) = Layout(store).entries()
    if flags or not Layout(store).resolve(name):
        assert validate(BlobStore(store), descriptor) == []
    assert f"Digest: {descriptor.digest}" in printed
    return str(descriptor.digest)


@pytest.mark.parametrize("kind", ["image", "index"])
def test_skopeo_gets_what_pybuild_pushes_and_the_other_way_round(scene: Scene, kind: str) -> None:
    name = scene.name()
    made = scene.image(name) if kind == "image" else scene.index(name)
    assert pushed(scene, name) == str(made.digest) == scene.digest(name)
    copy = scene.directory / f"copy-{next(scene.numbers)}"
    scene.tool("skopeo", "copy", "--all", *scene.flags("skopeo", "src"), f"docker://{name}", f"oci:{copy}:it")
    ((_, descriptor),) = Layout(copy).entries()
    assert descriptor.digest == made.digest
    assert validate(BlobStore(copy), descriptor) == []
    back = scene.name()
    scene.tool("skopeo", "copy", "--all", *scene.flags("skopeo", "dest"), f"oci:{copy}:it", f"docker://{back}")
    assert pulled(scene, back, "--all-platforms") == str(made.digest)
    assert pulled(scene, back) == str(made.digest)


@pytest.mark.parametrize("tool", ["podman", "buildah"])
def test_podman_and_buildah_get_what_pybuild_pushes_and_the_other_way_round(scene: Scene, tool: str) -> None:
    name, back = scene.name(), scene.name()
    made = scene.image(name)
    assert pushed(scene, name) == str(made.digest)
    scene.tool(tool, "pull", *scene.flags(tool), name)
    listed = scene.tool(tool, "images", "--digests", "--format", "{{.Digest}}", name)
    assert listed.split() == [str(made.digest)]
    scene.tool(tool, "tag", name, back)
    scene.tool(tool, "push", *scene.flags(tool), back)
    assert pulled(scene, back) == scene.digest(back)


def test_an_index_of_buildah_is_pulled_whole(scene: Scene) -> None:
    name, back = scene.name(), scene.name()
    made = scene.index(name)
    assert pushed(scene, name) == str(made.digest)
    listed = f"list-{next(scene.numbers)}"
    scene.tool("buildah", "manifest", "create", listed)
    scene.tool("buildah", "manifest", "add", "--all", *scene.flags("buildah"), listed, f"docker://{name}")
    scene.tool("buildah", "manifest", "push", "--all", *scene.flags("buildah"), listed, f"docker://{back}")
    assert pulled(scene, back, "--all-platforms") == scene.digest(back)


@pytest.mark.parametrize("kind", ["image", "index"])
def test_docker_gets_what_pybuild_pushes_and_the_other_way_round(scene: Scene, docker: Docker, kind: str) -> None:
    name, back = scene.name(), scene.name()
    made = scene.image(name) if kind == "image" else scene.index(name)
    assert pushed(scene, name) == str(made.digest)
    if scene.registry.guarded:
        docker.command("login", "-u", USER, "-p", PASSWORD, scene.registry.name)
    assert f"Digest: {made.digest}" in docker.command("pull", name).stdout
    (inspected,) = json.loads(docker.command("image", "inspect", name).stdout)
    repository = name.rpartition(":")[0]
    assert inspected["RepoDigests"] == [f"{repository}@{made.digest}"]
    docker.command("tag", name, back)
    last = docker.command("push", back).stdout.splitlines()[-1]
    assert pulled(scene, back) == scene.digest(back) == last.split()[2]


def test_a_second_push_sends_nothing_and_another_repository_mounts(scene: Scene) -> None:
    name, other = scene.name(), scene.name()
    scene.image(name)
    assert scene.pybuild("push", name).count(": Pushed") == 3
    assert scene.pybuild("push", name).count(": Layer already exists") == 3
    scene.pybuild("tag", name, other)
    assert scene.pybuild("push", other).count(": Mounted from ") == 3
    assert scene.digest(other) == scene.digest(name)


def test_all_tags_are_pulled(scene: Scene) -> None:
    first = scene.name("a")
    names = [first, *(first.removesuffix("a") + tag for tag in "bc")]
    for name in names:
        scene.image(name)
    scene.pybuild("push", "-a", first.rpartition(":")[0])
    store = scene.directory / f"pulled-{next(scene.numbers)}"
    scene.pybuild("pull", "-a", first.rpartition(":")[0], store=store)
    assert sorted(name for name, _ in Layout(store).entries()) == names


def test_a_build_pulls_its_base_and_pushes_its_result(scene: Scene) -> None:
    base, result = scene.name(), scene.name()
    scene.image(base)
    scene.pybuild("push", base)
    context = scene.directory / f"context-{next(scene.numbers)}"
    context.mkdir()
    (context / "Dockerfile").write_text(f"FROM {base}\nCOPY Dockerfile /\n")
    store = scene.directory / f"built-{next(scene.numbers)}"
    printed = scene.pybuild("build", "--progress=plain", "--push", "-t", result, str(context), store=store)
    assert f"pushing manifest for {result}@{scene.digest(result)}" in printed
    assert pulled(scene, result) == scene.digest(result)
    assert validate_store(store) == []


def test_a_pull_that_is_killed_goes_on(scene: Scene) -> None:
    name = scene.name()
    blobs = BlobStore(scene.store)
    descriptor = tiny_image(blobs, {"big": random.Random(5).randbytes(64 << 20)}).descriptor
    Layout(scene.store).tag(name, descriptor)
    scene.pybuild("push", "-q", name)
    store = scene.directory / f"killed-{next(scene.numbers)}"
    command = [sys.executable, "-m", "pybuild", "--root", str(store), "pull", "-q", name]
    process = subprocess.Popen(command, env=scene.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    kill_halfway(process, store)
    assert Layout(store).entries() == ()
    scene.pybuild("pull", "-q", name, store=store)
    assert validate(BlobStore(store), descriptor) == []
    assert list(store.glob("tmp/*")) == []


@pytest.mark.parametrize("scene", some_in_ci(["tls-and-password", "password"], 2), indirect=True)
def test_who_is_not_known_is_refused_on_both_sides(scene: Scene) -> None:
    name = scene.name()
    scene.image(name)
    kept = scene.authfile.read_text()
    scene.pybuild("logout", scene.registry.name)
    try:
        assert "log in" in scene.pybuild("pull", name, code=4)
        assert "log in" in scene.pybuild("push", name, code=5)
        assert "status 401" in scene.pybuild(*LOGIN, scene.registry.name, stdin="wrong", code=4)
    finally:
        scene.authfile.write_text(kept)


@pytest.mark.parametrize("scene", some_in_ci(["tls-and-password", "tls"], 2), indirect=True)
def test_a_certificate_that_nobody_vouches_for_is_refused(scene: Scene) -> None:
    name = scene.name()
    scene.image(name)
    # By address it has no directory of its own in certs.d.
    by_address = name.replace("localhost", "127.0.0.1")
    known = scene.directory / "config" / "containers" / "certs.d" / by_address.partition("/")[0]
    known.mkdir()
    try:
        scene.pybuild("tag", name, by_address)
        printed = scene.pybuild("push", by_address, code=5)
        assert "unable to get local issuer certificate" in printed
        assert "certs.d/127.0.0.1:" in printed
        guarded = scene.registry.guarded
        printed = scene.pybuild("push", "--tls-verify=false", by_address, code=5 if guarded else 0)
        assert ("requires authentication" if guarded else "1: digest: sha256:") in printed
        assert "Warning" not in printed
    finally:
        known.rmdir()
    # With no directory at all, an address of this machine is spoken to without TLS.
    assert "--cert-dir" in scene.pybuild("push", by_address, code=5)
    directory = f"--cert-dir={scene.registry.own_certificates}"
    assert ("requires authentication" if guarded else "1: digest: sha256:") in scene.pybuild(
        "push", directory, by_address, code=5 if guarded else 0
    )


def test_a_build_for_several_platforms_is_pushed_as_an_index_that_others_read(scene: Scene) -> None:
    name = scene.name()
    context = scene.directory / f"context-{next(scene.numbers)}"
    context.mkdir()
    (context / "Dockerfile").write_text("FROM scratch\nARG TARGETARCH\nCOPY Dockerfile /$TARGETARCH\n")
    scene.pybuild("build", "--platform=linux/amd64,linux/arm64", "--push", "-t", name, str(context))
    raw = scene.tool("skopeo", "inspect", "--raw", *scene.flags("skopeo"), f"docker://{name}")
    entries = json.loads(raw)["manifests"]
    platforms = [(entry["platform"]["os"], entry["platform"]["architecture"]) for entry in entries]
    assert platforms == [("linux", "amd64"), ("linux", "arm64")]
    copied = scene.directory / f"copied-{next(scene.numbers)}"
    scene.tool("skopeo", "copy", "--all", *scene.flags("skopeo", "src"), f"docker://{name}", f"oci:{copied}:all")
    for entry in entries:
        assert (copied / "blobs/sha256" / entry["digest"].removeprefix("sha256:")).exists()
    for platform in ("linux/amd64", "linux/arm64"):
        scene.tool("podman", "pull", f"--platform={platform}", *scene.flags("podman"), name)
        shown = scene.tool("podman", "image", "inspect", "--format={{.Os}}/{{.Architecture}}", name)
        assert shown.strip() == platform
