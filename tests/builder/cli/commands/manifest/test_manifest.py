import json
from pathlib import Path

import pytest

from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.image import Image
from pybuild.builder.oci.model import Descriptor, Index
from pybuild.builder.oci.validate import validate
from tests.builder.cli.conftest import Shop
from tests.helpers.images import AMD64, ARM64, tiny_image, tiny_index
from tests.helpers.registry import FakeRegistry

pytestmark = pytest.mark.usefixtures("no_registry_settings")

FULL = "docker.io/library/multi:latest"


def images(blobs: BlobStore) -> list[Image]:
    return [tiny_image(blobs, {"x": p.architecture.encode()}, platform=p) for p in (AMD64, ARM64)]


@pytest.fixture
def members(shop: Shop) -> list[Image]:
    """Images for two platforms, ``amd64:1`` and ``arm64:1``."""
    made = images(shop.store.blobs)
    for image in made:
        shop.store.layout.tag(f"docker.io/library/{image.config.architecture}:1", image.descriptor)
    return made


def index_of(shop: Shop, name: str = FULL) -> tuple[Descriptor, Index]:
    descriptor = shop.store.layout.resolve(name)
    assert descriptor is not None
    assert validate(shop.store.blobs, descriptor) == []
    return descriptor, Index.from_json(shop.store.blobs.read(descriptor))


def test_images_of_the_store_become_an_index(shop: Shop, members: list[Image]) -> None:
    result = shop.run("manifest", "create", "--annotation=a=b", "multi", "amd64:1", "arm64:1")
    descriptor, index = index_of(shop)
    assert result.lines == [str(descriptor.digest)]
    assert [entry.digest for entry in index.manifests] == [image.descriptor.digest for image in members]
    assert [entry.platform for entry in index.manifests] == [AMD64, ARM64]
    assert index.annotations == {"a": "b"}


def test_an_index_is_amended_only_when_asked(shop: Shop, members: list[Image]) -> None:
    shop.run("manifest", "create", "multi", "amd64:1")
    result = shop.run("manifest", "create", "multi", "arm64:1")
    assert (result.code, "is an index already" in result.err) == (2, True)
    newer = tiny_image(shop.store.blobs, {"x": b"newer"})
    shop.store.layout.tag("docker.io/library/newer:1", newer.descriptor)
    assert shop.run("manifest", "create", "--amend", "multi", "arm64:1", "newer:1").code == 0
    _, index = index_of(shop)
    assert [entry.digest for entry in index.manifests] == [members[1].descriptor.digest, newer.descriptor.digest]


def test_members_come_from_registries_and_out_of_other_indexes(
    shop: Shop, server: FakeRegistry, tmp_path: Path
) -> None:
    source = BlobStore(tmp_path / "source")
    amd, arm = images(source)
    server.add(source, "team/arm", "1", tiny_index(source, arm))
    server.add(source, "team/amd", "1", amd.descriptor)
    members = [f"docker://{server.name}/team/{name}:1" for name in ("amd", "arm")]
    assert shop.run("manifest", "create", "multi", *members).code == 0
    _, index = index_of(shop)
    assert [entry.digest for entry in index.manifests] == [amd.descriptor.digest, arm.descriptor.digest]


def test_an_index_is_made_in_a_registry_without_moving_its_layers(
    shop: Shop, server: FakeRegistry, tmp_path: Path
) -> None:
    source = BlobStore(tmp_path / "source")
    amd, arm = images(source)
    for image in (amd, arm):
        server.add(source, "team/app", image.config.architecture, image.descriptor)
    layers = {f"/v2/team/app/blobs/{image.manifest.layers[0].digest}" for image in (amd, arm)}
    members = [f"docker://{server.name}/team/app:{name}" for name in ("amd64", "arm64")]
    result = shop.run("manifest", "create", f"docker://{server.name}/team/app:multi", *members)
    assert result.code == 0, result.err
    index = tiny_index(source, amd, arm)
    assert result.lines == [str(index.digest)]
    assert server.has("team/app", source, "multi", index)
    assert not layers & set(server.paths())
    assert shop.names() == []


def test_what_the_index_says_of_an_image_can_be_changed(shop: Shop, members: list[Image]) -> None:
    shop.run("manifest", "create", "multi", "amd64:1", "arm64:1")
    words = (
        ("linux/amd64", "--variant=v2"),
        ("arm64:1", "--os-version=1.2"),
        (str(members[1].descriptor.digest), "--annotation=k=v"),
    )
    for image, flag in words:
        result = shop.run("manifest", "annotate", "multi", image, flag)
        assert result.lines == [str(index_of(shop)[0].digest)]
        assert result.err == ""
    first, second = index_of(shop)[1].manifests
    assert str(first.platform) == "linux/amd64/v2"
    assert (second.platform.os_version, second.annotations) == ("1.2", {"k": "v"})
    result = shop.run("manifest", "annotate", "multi", "linux/amd64/v2", "--arch=riscv64", "--os=linux")
    assert "the platform of the image itself is linux/amd64" in result.err
    shop.run("rmi", "multi")


def test_an_index_and_a_manifest_are_shown_as_they_are(shop: Shop, members: list[Image]) -> None:
    shop.run("manifest", "create", "multi", "amd64:1", "arm64:1")
    descriptor, _ = index_of(shop)
    raw = shop.store.blobs.read(descriptor).decode()
    assert shop.run("manifest", "inspect", "--raw", "multi").out == raw
    assert json.loads(shop.run("manifest", "inspect", "multi").out) == json.loads(raw)
    shown = json.loads(shop.run("manifest", "inspect", "amd64:1").out)
    assert shown["config"]["digest"] == str(members[0].id)


def test_a_registry_is_asked_for_what_the_store_lacks(shop: Shop, server: FakeRegistry, tmp_path: Path) -> None:
    source = BlobStore(tmp_path / "source")
    index = tiny_index(source, *images(source))
    server.add(source, "team/app", "1", index)
    raw = source.read(index).decode()
    for name in (
        f"{server.name}/team/app:1",
        f"docker://{server.name}/team/app:1",
        f"{server.name}/team/app@{index.digest}",
    ):
        assert shop.run("manifest", "inspect", "--raw", name).out == raw
    assert not [path for path in server.paths() if "/blobs/" in path]
    assert shop.run("manifest", "inspect", f"{server.name}/team/app:2").code == 4


def test_an_index_is_pushed_whole(shop: Shop, server: FakeRegistry, members: list[Image], tmp_path: Path) -> None:
    del members
    name = f"{server.name}/team/app:1"
    shop.run("manifest", "create", name, "amd64:1", "arm64:1")
    descriptor, _ = index_of(shop, name)
    result = shop.run("manifest", "push", "--digestfile", str(tmp_path / "digest"), name)
    assert result.lines == [str(descriptor.digest)]
    assert (tmp_path / "digest").read_text().strip() == str(descriptor.digest)
    assert server.has("team/app", shop.store.blobs, "1", descriptor)
    assert shop.run("manifest", "push", "--purge", name, f"docker://{server.name}/other/app:2").code == 0
    assert server.has("other/app", shop.store.blobs, "2", descriptor)
    assert name not in shop.names()


@pytest.mark.parametrize(
    ("words", "code", "problem"),
    [
        (("create", "multi", "amd64:1", "again:1"), 2, "two of the images are for linux/amd64"),
        (("create", "multi", "none:1"), 1, "No such image"),
        (("create", "multi"), 2, "missing argument"),
        (("create", "--annotation=x", "multi", "amd64:1"), 2, "expected KEY=VALUE"),
        (("create", "--amend", "oci:x", "amd64:1"), 2, "indexes of the store only"),
        (("annotate", "amd64:1", "linux/amd64", "--variant=v2"), 2, "not an index"),
        (("annotate", "made", "linux/none", "--variant=v2"), 1, "No such image"),
        (("annotate", "made", "arm64:1", "--variant=v2"), 2, "is not in the index"),
        (("push", "none"), 1, "No such image"),
        (
            ("create", "--src-creds=me:x", "multi", "docker://a.example/x", "docker://b.example/x"),
            2,
            "one set of credentials for several registries: a.example, b.example",
        ),
        (("unknown",), 2, "no such command"),
    ],
)
def test_what_cannot_be_done_is_told(
    shop: Shop, members: list[Image], words: tuple[str, ...], code: int, problem: str
) -> None:
    again = tiny_image(shop.store.blobs, {"again": b""})
    shop.store.layout.tag("docker.io/library/again:1", again.descriptor)
    shop.store.layout.tag("docker.io/library/made:latest", tiny_index(shop.store.blobs, members[0]))
    result = shop.run("manifest", *words)
    assert (result.code, problem in result.err) == (code, True), result.err


def test_names_of_a_registry_are_taken_as_docker_takes_them(
    shop: Shop, server: FakeRegistry, members: list[Image], tmp_path: Path
) -> None:
    name = f"{server.name}/team/app"
    for image in members:
        own = f"{name}:1-{image.config.architecture}"
        shop.run("tag", f"{image.config.architecture}:1", own)
        assert shop.run("push", own).code == 0
        shop.run("rmi", own, f"{image.config.architecture}:1")
    assert shop.run("manifest", "create", f"{name}:1", f"{name}:1-amd64", f"{name}:1-arm64").code == 0
    annotated = shop.run("manifest", "annotate", "--os-features=a,b", f"{name}:1", f"{name}:1-arm64")
    assert annotated.code == 0, annotated.err
    assert shop.run("manifest", "push", "--insecure", "--all", "-p", f"{name}:1").code == 0
    document = json.loads(shop.run("manifest", "inspect", "--insecure", f"{name}:1").out)
    assert document["manifests"][1]["platform"]["os.features"] == ["a", "b"]


def test_a_manifest_that_is_nowhere_is_told_as_docker_does(shop: Shop, server: FakeRegistry) -> None:
    result = shop.run("manifest", "inspect", f"{server.name}/team/none:1")
    assert (result.code, result.err.splitlines()[0]) == (4, f"ERROR: no such manifest: {server.name}/team/none:1")


def test_verbose_shows_each_manifest_with_its_descriptor(
    shop: Shop, server: FakeRegistry, members: list[Image]
) -> None:
    name = f"{server.name}/team/app"
    shop.run("manifest", "create", f"{name}:1", "amd64:1", "arm64:1")
    assert shop.run("manifest", "push", "--purge", f"{name}:1").code == 0
    shop.run("rmi", "amd64:1", "arm64:1")
    shop.run("prune", "-f")
    entries = json.loads(shop.run("manifest", "inspect", "-v", f"{name}:1").out)
    assert [entry["Ref"] for entry in entries] == [f"{name}:1@{image.descriptor.digest}" for image in members]
    assert [entry["Descriptor"]["platform"]["architecture"] for entry in entries] == ["amd64", "arm64"]
    assert entries[0]["OCIManifest"]["config"]["digest"] == str(members[0].id)
    one = json.loads(shop.run("manifest", "inspect", "-v", entries[1]["Ref"].replace(":1@", "@")).out)
    assert (one["Descriptor"]["platform"]["architecture"], one["Raw"]) == ("arm64", entries[1]["Raw"])


def test_an_index_grows_shrinks_and_is_forgotten(shop: Shop, members: list[Image]) -> None:
    assert shop.run("manifest", "exists", "multi").code == 1
    shop.run("manifest", "create", "multi", "amd64:1")
    assert shop.run("manifest", "exists", "multi").code == 0
    assert shop.run("manifest", "exists", "amd64:1").code == 1
    shop.run("manifest", "add", "--all", "multi", "arm64:1")
    assert [entry.digest for entry in index_of(shop)[1].manifests] == [image.descriptor.digest for image in members]
    shop.run("manifest", "remove", "multi", "linux/amd64")
    descriptor, index = index_of(shop)
    assert [entry.digest for entry in index.manifests] == [members[1].descriptor.digest]
    assert shop.run("manifest", "remove", "multi", "amd64:1").code == 2
    assert shop.run("manifest", "rm", "amd64:1").code == 2
    assert shop.run("manifest", "rm", "multi").lines == ["Untagged: multi:latest", f"Deleted: {descriptor.digest}"]
    assert shop.run("manifest", "rm", "multi").code == 1
    assert shop.run("inspect", "arm64:1").code == 0
    shop.run("prune", "-f")
