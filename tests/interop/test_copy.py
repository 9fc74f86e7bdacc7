"""`pybuild copy` beside skopeo and Debian's docker-registry: what one has written the other reads, byte for byte."""

import hashlib
import json
import random
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.layout import Layout
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.oci.validate import validate_store
from pybuild.builder.store.directory import prepare
from tests.helpers.docker_registry import DockerRegistry, docker_registry
from tests.helpers.hosts import need_programs, need_root
from tests.helpers.images import AMD64, ARM64, tiny_image, tiny_index
from tests.helpers.partial import kill_halfway, partial_bytes
from tests.helpers.peers import Docker
from tests.helpers.program import Program

pytestmark = pytest.mark.xdist_group("registry")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    need_root()
    need_programs(["docker-registry", "skopeo"])
    with docker_registry(tmp_path_factory.mktemp("copy") / "server") as running:
        yield running


@pytest.fixture
def program(tmp_path: Path) -> Program:
    nothing = (("CONTAINERS_REGISTRIES_CONF", str(tmp_path / "none.conf")), ("HOME", str(tmp_path)))
    prepare(tmp_path / "store")
    return Program(store=tmp_path / "store", variables=nothing)


@pytest.fixture
def index(program: Program) -> Iterator[Descriptor]:
    """An index in the store of *program*, under the name ``multi:1``."""
    blobs = BlobStore(program.store)
    images = [
        tiny_image(
            blobs, {"name": str(platform).encode()}, {"x": random.Random(3).randbytes(90_000)}, platform=platform
        )
        for platform in (AMD64, ARM64)
    ]
    descriptor = tiny_index(blobs, *images)
    Layout(program.store).tag("docker.io/library/multi:1", descriptor)
    yield descriptor
    assert validate_store(program.store) == []


def skopeo(*arguments: str) -> bytes:
    done = subprocess.run(
        ["skopeo", "--insecure-policy", *arguments], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def raw_digest(place: str) -> str:
    """The digest of what is at a place, as skopeo reads it."""
    flags = ["--tls-verify=false"] if place.startswith("docker://") else []
    return f"sha256:{hashlib.sha256(skopeo('inspect', '--raw', *flags, place)).hexdigest()}"


def places(directory: Path, registry: DockerRegistry) -> dict[str, str]:
    return {
        "registry": f"docker://{registry.name}/team/{directory.name.lower()}:1",
        "folder": f"oci:{directory / 'folder'}:1",
        "archive": f"oci-archive:{directory / 'archive.tar'}:1",
    }


@pytest.mark.parametrize("kind", ["registry", "folder", "archive"])
def test_skopeo_reads_what_a_copy_has_written(
    program: Program, index: Descriptor, registry: DockerRegistry, tmp_path: Path, kind: str
) -> None:
    place = places(tmp_path, registry)[kind]
    program.run("copy", "--all", "multi:1", place)
    assert raw_digest(place) == str(index.digest)
    flags = ["--src-tls-verify=false"] if kind == "registry" else []
    skopeo("copy", "--all", "--preserve-digests", *flags, place, f"oci:{tmp_path / 'theirs'}:it")
    assert validate_store(tmp_path / "theirs") == []
    assert Layout(tmp_path / "theirs").entries()[0][1].digest == index.digest


@pytest.mark.parametrize("kind", ["registry", "folder", "archive"])
def test_a_copy_reads_what_skopeo_has_written(
    program: Program, index: Descriptor, registry: DockerRegistry, tmp_path: Path, kind: str
) -> None:
    place = places(tmp_path, registry)[kind]
    flags = ["--dest-tls-verify=false"] if kind == "registry" else []
    skopeo("copy", "--all", "--preserve-digests", *flags, f"oci:{program.store}:docker.io/library/multi:1", place)
    printed = program.run("copy", "--all", place, "back:1").stdout
    assert f"Digest: {index.digest}" in printed
    assert Layout(program.store).resolve("docker.io/library/back:1").digest == index.digest


def test_between_registries_of_docker_an_index_arrives_as_it_is(
    program: Program, index: Descriptor, registry: DockerRegistry, tmp_path: Path
) -> None:
    first, second = f"docker://{registry.name}/first/app:1", f"docker://{registry.name}/second/app:1"
    program.run("copy", "--all", "multi:1", first)
    assert program.run("copy", "--all", first, second).stdout.count("Mounted from first/app") == 5
    with docker_registry(tmp_path / "other") as other:
        third = f"docker://{other.name}/third/app:1"
        program.run("copy", "--all", second, third)
        assert raw_digest(third) == raw_digest(second) == str(index.digest)
        one = program.run("copy", "--platform=linux/arm64", "--digestfile", str(tmp_path / "d"), third, "arm:1")
        arm = json.loads(skopeo("inspect", "--raw", "--tls-verify=false", third))["manifests"][1]["digest"]
    assert f"Digest: {arm}" in one.stdout
    assert (tmp_path / "d").read_text() == f"{arm}\n"


def test_skopeo_loads_a_docker_archive_of_one_platform(program: Program, index: Descriptor, tmp_path: Path) -> None:
    del index
    program.run("copy", "--platform=linux/arm64", "multi:1", f"docker-archive:{tmp_path / 'x.tar'}:other:2")
    found = json.loads(skopeo("inspect", f"docker-archive:{tmp_path / 'x.tar'}:docker.io/library/other:2"))
    assert (found["Architecture"], len(found["Layers"])) == ("arm64", 2)


def test_a_docker_archive_of_skopeo_keeps_the_image_id(program: Program, index: Descriptor, tmp_path: Path) -> None:
    del index
    program.run("copy", "multi:1", f"oci:{tmp_path / 'y'}:1")
    skopeo("copy", f"oci:{tmp_path / 'y'}:1", f"docker-archive:{tmp_path / 'x.tar'}:other:2")
    program.run("copy", f"docker-archive:{tmp_path / 'x.tar'}", "other:2")
    with tarfile.open(tmp_path / "x.tar") as tar:
        (entry,) = json.load(tar.extractfile("manifest.json"))
    found = program.run("inspect", "--format={{.Id}}", "other:2").stdout.strip()
    assert entry["Config"] == f"{found.removeprefix('sha256:')}.json"


@pytest.mark.parametrize("onto", ["registry", "folder"])
def test_a_copy_that_is_killed_goes_on(program: Program, registry: DockerRegistry, tmp_path: Path, onto: str) -> None:
    blobs = BlobStore(program.store)
    image = tiny_image(blobs, {"big": random.Random(5).randbytes(64 << 20)})
    Layout(program.store).tag("docker.io/library/big:1", image.descriptor)
    source = f"docker://{registry.name}/big/app:1"
    program.run("copy", "big:1", source)
    other = Program(store=tmp_path / "other", variables=program.variables)
    with docker_registry(tmp_path / "second") as second:
        target = f"docker://{second.name}/app:1" if onto == "registry" else f"oci:{tmp_path / 'folder'}:1"
        parts = other.store / "copying" / "parts" if onto == "registry" else tmp_path / "folder"
        process = other.start("copy", source, target)
        kill_halfway(process, parts)
        left = partial_bytes(parts)
        assert onto == "registry" or not (tmp_path / "folder" / "index.json").exists()
        assert 1 << 20 <= left < 64 << 20
        other.run("copy", source, target)
        assert raw_digest(target) == str(image.descriptor.digest)
    assert list(parts.glob("tmp/*")) == []


def test_docker_loads_an_archive_and_what_docker_saves_is_copied(
    program: Program, index: Descriptor, tmp_path: Path, docker: Docker
) -> None:
    del index
    program.run("copy", "multi:1", f"docker-archive:{tmp_path / 'x.tar'}:from-a-copy:1")
    assert "from-a-copy:1" in docker.load(tmp_path / "x.tar")
    saved = docker.save("from-a-copy:1", tmp_path / "saved.tar")
    program.run("copy", f"docker-archive:{saved}:from-a-copy:1", f"oci:{tmp_path / 'layout'}:it")
    program.run("copy", f"oci:{tmp_path / 'layout'}:it", "back:1")
    assert validate_store(tmp_path / "layout") == []
    ids = {
        program.run("inspect", "--format={{.Id}}", *words).stdout
        for words in (("--platform=linux/amd64", "multi:1"), ("back:1",))
    }
    assert len(ids) == 1


def test_docker_exports_a_container_and_commit_adds_what_it_changed(
    program: Program, tmp_path: Path, docker: Docker
) -> None:
    files = {"kept": b"1", "gone": b"2", "changed": b"3"}
    image = tiny_image(BlobStore(program.store), files)
    Layout(program.store).tag("docker.io/library/base:1", image.descriptor)
    program.run("copy", "base:1", f"docker-archive:{tmp_path / 'x.tar'}:base-of-a-copy:1")
    docker.load(tmp_path / "x.tar")
    container = docker.command("create", "base-of-a-copy:1", "none").stdout.strip()
    with (tmp_path / "tree.tar").open("wb") as stream:
        docker.command("export", container, stdout=stream)
    docker.command("rm", container)
    program.run("commit", "base:1", str(tmp_path / "tree.tar"), "out:1")
    program.run("export", "-o", str(tmp_path / "out.tar"), "out:1")
    with tarfile.open(tmp_path / "out.tar") as tar:
        found = {member.name: tar.extractfile(member).read() for member in tar if member.name in files}
    assert found == files
    assert validate_store(program.store) == []
