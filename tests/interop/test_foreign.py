"""Images of docker, buildah, podman, umoci and skopeo: loaded and built on, with the tree and the bytes of their writer."""

import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import trees
from tests.helpers.foreign import Foreign, Workshop
from tests.helpers.hosts import need_programs, need_root
from tests.helpers.peers import Docker
from tests.helpers.program import Program

pytestmark = pytest.mark.xdist_group("foreign")

ARCHIVES = (
    "docker-save",
    "buildah-docker-archive",
    "buildah-oci-archive",
    "podman-docker-archive",
    "podman-oci-archive",
)
LAYOUTS = ("skopeo-gzip", "skopeo-zstd", "skopeo-zstd:chunked", "umoci-layout")
EVER = 1 << 62
REF_NAME = "org.opencontainers.image.ref.name"
OF_A_CONTAINER = ("/.dockerenv", "/dev", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/mtab")


@pytest.fixture(scope="session")
def workshop(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    need_root()
    need_programs(["buildah", "podman", "skopeo", "umoci"])
    directory = tmp_path_factory.mktemp("workshop")
    with tempfile.TemporaryDirectory(prefix="run-") as run_root:
        yield Workshop(directory=directory, run_root=Path(run_root), docker=docker)
    shutil.rmtree(directory)


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(store=tmp_path / "store")


@pytest.mark.parametrize("name", ARCHIVES)
def test_loaded_archive_is_saved_with_the_same_bytes(
    workshop: Workshop, program: Program, name: str, tmp_path: Path
) -> None:
    archive = workshop.image(name).place
    loaded = _load(program, archive)
    program.save(loaded, tmp_path / "again.tar")
    theirs, ours = _documents(archive), _documents(tmp_path / "again.tar")
    assert ours.config == theirs.config
    if name.endswith("oci-archive"):
        assert ours.manifest == theirs.manifest


@pytest.mark.parametrize("name", ARCHIVES)
def test_loaded_archive_is_a_base_with_the_tree_of_its_writer(
    workshop: Workshop, program: Program, name: str, tmp_path: Path
) -> None:
    foreign = workshop.image(name)
    _same_tree(program, foreign, _load(program, foreign.place), tmp_path)
    _layers_stay(program, foreign.place, tmp_path)


@pytest.mark.parametrize("name", LAYOUTS)
def test_layout_is_a_base_with_the_tree_of_its_writer(
    workshop: Workshop, program: Program, name: str, tmp_path: Path
) -> None:
    foreign = workshop.image(name)
    context = f"--build-context=base=oci-layout://{foreign.place}:it"
    _same_tree(program, foreign, "base", tmp_path, context)
    _layers_stay(program, foreign.place, tmp_path)


def _load(program: Program, archive: Path) -> str:
    printed = program.run("load", "-i", os.fspath(archive)).stdout
    return printed.splitlines()[0].removeprefix("Loaded image: ")


def _same_tree(program: Program, foreign: Foreign, base: str, directory: Path, *options: str) -> None:
    context = directory / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(f"FROM {base}\nCOPY Dockerfile /added\n")
    tar = directory / "tree.tar"
    program.build(context, *options, "-o", f"type=tar,dest={tar}")
    ours = trees.read_tar(tar)
    del ours["/added"]
    found = dict(trees.differences(ours, foreign.tree, started=EVER))
    if foreign.lossy:
        found = {path: text for path, text in found.items() if not _lost(path, text)}
    assert found == {}


def _lost(path: str, text: str) -> bool:
    return path.startswith(OF_A_CONTAINER) or (text.startswith("xattrs") and "user.note" in text)


def _layers_stay(program: Program, place: Path, directory: Path) -> None:
    program.save("built", directory / "built.tar")
    theirs, ours = _documents(place), _documents(directory / "built.tar")
    assert _diff_ids(ours)[:-1] == _diff_ids(theirs)
    if theirs.manifest and (digests := _compressed(theirs)):
        assert _compressed(ours)[:-1] == digests


def _compressed(documents: "Documents") -> list[str]:
    """The digests of the layers that are compressed: the store holds no others, so only these can stay."""
    layers = json.loads(documents.manifest)["layers"]
    return [layer["digest"] for layer in layers if not layer["mediaType"].endswith("tar")]


def _diff_ids(documents: "Documents") -> list[str]:
    found: list[str] = json.loads(documents.config)["rootfs"]["diff_ids"]
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """The bytes that describe an image. *manifest* is empty where an archive has only Docker's own table."""

    manifest: bytes
    config: bytes


def _documents(place: Path) -> Documents:
    """Those of the image in an archive, or of the one called ``it`` in a layout."""
    read = _in_layout(place) if place.is_dir() else _in_archive(place)
    try:
        index = json.loads(read("index.json"))
    except (KeyError, FileNotFoundError):
        (entry,) = json.loads(read("manifest.json"))
        return Documents(manifest=b"", config=read(entry["Config"]))
    manifest = read(_blob(_chosen(index["manifests"])))
    return Documents(manifest=manifest, config=read(_blob(json.loads(manifest)["config"])))


def _chosen(entries: list[dict[str, Any]]) -> dict[str, Any]:
    named = [entry for entry in entries if entry.get("annotations", {}).get(REF_NAME) == "it"]
    return (named or entries)[0]


def _blob(descriptor: dict[str, Any]) -> str:
    return "blobs/" + str(descriptor["digest"]).replace(":", "/")


def _in_layout(place: Path) -> Callable[[str], bytes]:
    return lambda name: (place / name).read_bytes()


def _in_archive(place: Path) -> Callable[[str], bytes]:
    def read(name: str) -> bytes:
        with tarfile.open(place) as tar:
            member = tar.extractfile(name)
            assert member is not None
            return member.read()

    return read
