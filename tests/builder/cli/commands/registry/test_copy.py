import gzip
import json
import os
import random
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybuild.builder.oci import media
from pybuild.builder.oci.archive.load import load
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.image import Image, reachable, read_image, write_image
from pybuild.builder.oci.layout import Layout
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.oci.registry.auth.tokens import Credentials
from pybuild.builder.oci.validate import validate, validate_store
from tests.builder.cli.conftest import BASE, Result, Shop
from tests.helpers.images import AMD64, ARM64, docker_archive, tar_of, tiny_config, tiny_image, tiny_index
from tests.helpers.registry import Answer, FakeRegistry, Fault

pytestmark = pytest.mark.usefixtures("no_registry_settings")

APP = "team/app"
KINDS = ("docker", "oci", "oci-archive", "docker-archive", "store")


@pytest.fixture
def other() -> Iterator[FakeRegistry]:
    with FakeRegistry() as fake:
        yield fake


def place(kind: str, directory: Path, server: FakeRegistry, label: str) -> str:
    """A place of a kind that is called *label*."""
    return {
        "docker": f"docker://{server.name}/team/{label}:1",
        "oci": f"oci:{directory / label}:1",
        "oci-archive": f"oci-archive:{directory / label}.tar:1",
        "docker-archive": f"docker-archive:{directory / label}.tar:{label}:1",
        "store": f"{label}:1",
    }[kind]


def big_index(blobs: BlobStore) -> Descriptor:
    noise = random.Random(7)
    images = [
        tiny_image(blobs, {"name": str(platform).encode()}, {"x": noise.randbytes(70_000)}, platform=platform)
        for platform in (AMD64, ARM64)
    ]
    return tiny_index(blobs, *images)


def copied(shop: Shop, *arguments: str) -> str:
    """Copy and return the digest that it printed."""
    result = shop.run("copy", *arguments)
    assert result.code == 0, result.err
    assert result.lines[-1].startswith("Digest: ")
    return result.lines[-1].removeprefix("Digest: ")


@pytest.mark.parametrize("onto", KINDS)
@pytest.mark.parametrize("start", KINDS)
def test_an_index_goes_from_any_place_to_any_other_and_back_as_it_is(
    shop: Shop, server: FakeRegistry, source: BlobStore, tmp_path: Path, start: str, onto: str
) -> None:
    index = big_index(source)
    server.add(source, APP, "1", index)
    places = [
        f"docker://{server.name}/{APP}:1",
        *(place(kind, tmp_path, server, kind + end) for kind, end in ((start, "a"), (onto, "b"))),
    ]
    back = place("oci", tmp_path, server, "back")
    for before, after in zip(places, [*places[1:], back], strict=True):
        assert copied(shop, "--all", before, after) == str(index.digest)
    assert validate_store(tmp_path / "back") == []
    assert validate(BlobStore(tmp_path / "back"), index) == []


@pytest.mark.parametrize("kind", KINDS)
def test_of_an_index_one_image_is_taken(
    shop: Shop, server: FakeRegistry, source: BlobStore, tmp_path: Path, kind: str
) -> None:
    index = big_index(source)
    server.add(source, APP, "1", index)
    whole, back = place(kind, tmp_path, server, "whole"), f"oci:{tmp_path / 'back'}"
    copied(shop, "--all", f"docker://{server.name}/{APP}:1", whole)
    for platform, flags in ((AMD64, ()), (AMD64, ("--platform=linux/amd64",)), (ARM64, ("--platform", "arm64"))):
        expected = read_image(source, index, platform)
        assert copied(shop, *flags, whole, f"{back}:{platform.architecture}") == str(expected.descriptor.digest)
        assert validate(BlobStore(tmp_path / "back"), expected.descriptor) == []
    result = shop.run("copy", "--platform=s390x", whole, f"{back}:none")
    assert result.code in {1, 4}
    assert "no image for linux/s390x" in result.err
    assert shop.run("copy", "--platform=s390x", f"{back}:arm64", f"{back}:none").code == 1


def test_an_image_for_another_platform_is_copied_when_there_is_no_other(shop: Shop, tmp_path: Path) -> None:
    arm = tiny_image(shop.store.blobs, BASE, platform=ARM64)
    shop.store.layout.tag("docker.io/library/arm:1", arm.descriptor)
    assert copied(shop, "arm:1", f"oci:{tmp_path / 'x'}") == str(arm.descriptor.digest)


def test_what_the_store_lacks_of_an_index_is_told(
    shop: Shop, server: FakeRegistry, source: BlobStore, tmp_path: Path
) -> None:
    server.add(source, APP, "1", big_index(source))
    assert shop.run("pull", "-q", f"{server.name}/{APP}:1").code == 0
    result = shop.run("copy", "--all", f"{server.name}/{APP}:1", f"oci-archive:{tmp_path / 'x.tar'}")
    assert (result.code, "is not in the store" in result.err) == (1, True)
    assert not (tmp_path / "x.tar").exists()
    assert shop.run("copy", f"{server.name}/{APP}:1", f"oci-archive:{tmp_path / 'x.tar'}").code == 0
    assert shop.run("rmi", f"{server.name}/{APP}:1").code == 0


def test_between_registries_nothing_is_kept_and_nothing_is_sent_twice(
    shop: Shop, server: FakeRegistry, other: FakeRegistry, source: BlobStore
) -> None:
    index = big_index(source)
    server.add(source, APP, "1", index)
    words = ("--all", f"docker://{server.name}/{APP}:1", f"docker://{other.name}/x/y:2")
    assert copied(shop, *words) == str(index.digest)
    assert other.has("x/y", source, "2", index)
    layers = {item.digest for item in reachable(source, index) if media.layer_compression(item.media_type)}
    assert not any(shop.store.blobs.exists(digest) for digest in layers)
    assert list(shop.store.root.glob("copying/parts/blobs/*/*")) == []
    server.requests.clear()
    assert shop.run("copy", *words).out.count("Layer already exists") == 6
    assert not [path for path in server.paths() if "/blobs/" in path]


def test_within_a_registry_layers_are_mounted_and_not_fetched(
    shop: Shop, server: FakeRegistry, source: BlobStore
) -> None:
    index = big_index(source)
    server.add(source, APP, "1", index)
    result = shop.run("copy", "--all", f"docker://{server.name}/{APP}:1", f"docker://{server.name}/x/y:2")
    assert result.out.count(f"Mounted from {APP}") == 6
    assert server.has("x/y", source, "2", index)
    assert not [path for path in server.paths() if "/blobs/" in path]


def test_a_digest_names_a_source_but_no_target(
    shop: Shop, server: FakeRegistry, source: BlobStore, tmp_path: Path
) -> None:
    image = tiny_image(source, BASE)
    server.add(source, APP, "1", image.descriptor)
    named = f"docker://{server.name}/{APP}@{image.descriptor.digest}"
    assert copied(shop, named, f"oci:{tmp_path / 'x'}") == str(image.descriptor.digest)
    assert shop.run("copy", f"oci:{tmp_path / 'x'}", named).code == 2


def test_a_layout_holds_many_images_and_a_new_one_takes_over_a_name(shop: Shop, tmp_path: Path) -> None:
    one, two = shop.image("a:1"), shop.image("b:1", layers=({"b": b"2"},))
    directory = tmp_path / "layout"
    for name, target in (("a:1", "x"), ("b:1", "y"), ("b:1", "x"), ("a:1", "docker.io/library/a:1")):
        copied(shop, name, f"oci:{directory}:{target}")
    entries = dict(Layout(directory).entries())
    assert {name: entry.digest for name, entry in entries.items()} == {
        "x": two.descriptor.digest,
        "y": two.descriptor.digest,
        "docker.io/library/a:1": one.descriptor.digest,
    }
    result = shop.run("copy", f"oci:{directory}", "c:1")
    assert (result.code, "several images" in result.err) == (2, True)
    assert copied(shop, f"oci:{directory}:y", "c:1") == str(two.descriptor.digest)
    assert sorted(os.listdir(directory)) == ["blobs", "index.json", "oci-layout"]


def test_the_digest_is_written_to_a_file(shop: Shop, tmp_path: Path) -> None:
    image = shop.image("a:1")
    assert shop.run("copy", "-q", "--digestfile", str(tmp_path / "d"), "a:1", "b:1") == Result(0, "", "")
    assert (tmp_path / "d").read_text() == f"{image.descriptor.digest}\n"
    assert shop.names() == ["docker.io/library/a:1", "docker.io/library/b:1"]


def plain_image(blobs: BlobStore) -> Image:
    """An image whose layer is not compressed."""
    tar = tar_of(BASE)
    return write_image(blobs, tiny_config([tar]), (blobs.put(tar, media.OCI_LAYER),))


@pytest.mark.parametrize("packed", [False, True])
def test_an_oci_archive_keeps_digests_also_of_plain_layers(shop: Shop, tmp_path: Path, *, packed: bool) -> None:
    image = plain_image(shop.store.blobs)
    shop.store.layout.tag("docker.io/library/a:1", image.descriptor)
    archive = tmp_path / "x.tar"
    assert copied(shop, "a:1", f"oci-archive:{archive}:it") == str(image.descriptor.digest)
    with tarfile.open(archive) as tar:
        assert "manifest.json" not in tar.getnames()
    if packed:
        archive.write_bytes(gzip.compress(archive.read_bytes()))
    assert copied(shop, f"oci-archive:{archive}:it", f"oci:{tmp_path / 'y'}") == str(image.descriptor.digest)
    assert validate(BlobStore(tmp_path / "y"), image.descriptor) == []
    assert list((shop.store.root / "copying").iterdir()) == []


def test_an_archive_of_an_old_docker_becomes_an_image_of_the_same_id(
    shop: Shop, server: FakeRegistry, tmp_path: Path
) -> None:
    (tmp_path / "x.tar").write_bytes(docker_archive(["a:1", "b:2"], BASE, {"c": b"d"}))
    assert shop.run("load", "-q", "-i", str(tmp_path / "x.tar")).code == 0
    expected = read_image(shop.store.blobs, Layout(shop.store.root).resolve("docker.io/library/a:1"))
    digest = copied(shop, f"docker-archive:{tmp_path / 'x.tar'}:b:2", f"docker://{server.name}/{APP}:1")
    assert digest == str(expected.descriptor.digest)
    assert server.has(APP, shop.store.blobs, "1", expected.descriptor)
    result = shop.run("copy", f"docker-archive:{tmp_path / 'x.tar'}:c:1", "d:1")
    assert (result.code, "it has a:1, b:2" in result.err) == (2, True)


def test_a_docker_archive_is_what_docker_load_expects(shop: Shop, tmp_path: Path) -> None:
    image = shop.image("a:1")
    copied(shop, "a:1", f"docker-archive:{tmp_path / 'x.tar'}:b:2")
    with tarfile.open(tmp_path / "x.tar") as tar:
        (entry,) = json.load(tar.extractfile("manifest.json"))
    assert entry["RepoTags"] == ["b:2"]
    with (tmp_path / "x.tar").open("rb") as file:
        (loaded,) = load(BlobStore(tmp_path / "other"), file)
    assert loaded.descriptor.digest == image.descriptor.digest


@pytest.mark.parametrize("link", ["oci-layout", "index.json", ".index.json.new", "tmp", "blobs", "blobs/sha256"])
def test_nothing_is_written_through_a_link_in_a_directory(shop: Shop, tmp_path: Path, link: str) -> None:
    shop.image("a:1")
    directory, victim = tmp_path / "layout", tmp_path / "victim"
    (directory / link).parent.mkdir(parents=True)
    if "." in link or "-" in link:
        victim.write_bytes(b"")
    else:
        victim.mkdir()
    (directory / link).symlink_to(victim)
    result = shop.run("copy", "a:1", f"oci:{directory}")
    assert (result.code, "is a symlink" in result.err) == (2, True)
    assert (victim.read_bytes() if victim.is_file() else os.listdir(victim)) in (b"", [])


def test_a_link_in_place_of_an_archive_is_replaced(shop: Shop, tmp_path: Path) -> None:
    shop.image("a:1")
    (tmp_path / "victim").write_text("kept")
    (tmp_path / "x.tar").symlink_to(tmp_path / "victim")
    copied(shop, "a:1", f"oci-archive:{tmp_path / 'x.tar'}")
    assert (tmp_path / "victim").read_text() == "kept"
    assert stat.S_ISREG((tmp_path / "x.tar").lstat().st_mode)


@pytest.mark.parametrize("onto", ["docker", "oci", "oci-archive", "store"])
def test_content_that_is_wrong_ends_a_copy_and_the_target_shows_nothing(
    shop: Shop, server: FakeRegistry, other: FakeRegistry, source: BlobStore, tmp_path: Path, onto: str
) -> None:
    image = tiny_image(source, BASE)
    server.add(source, APP, "1", image.descriptor)
    path = f"/v2/{APP}/blobs/{image.manifest.layers[0].digest}"
    kind, body, digest = server.content[path]
    server.content[path] = (kind, body[:-1] + b"?", digest)
    result = shop.run("copy", f"docker://{server.name}/{APP}:1", place(onto, tmp_path, other, "x"))
    assert (result.code, "has the digest" in result.err) == (4, True)
    assert not (tmp_path / "x.tar").exists()
    assert not (tmp_path / "x" / "index.json").exists()
    assert not [path for path in other.content if "/manifests/" in path]
    assert shop.names() == []


@pytest.mark.parametrize("onto", ["docker", "oci", "store"])
def test_a_copy_that_was_cut_off_goes_on_where_it_ended(
    shop: Shop, server: FakeRegistry, other: FakeRegistry, source: BlobStore, tmp_path: Path, onto: str
) -> None:
    image = tiny_image(source, {"a": random.Random(1).randbytes(400_000)})
    server.add(source, APP, "1", image.descriptor)
    path = f"/v2/{APP}/blobs/{image.manifest.layers[0].digest}"

    server.fault = lambda request: Fault.CUT if request.path == path and request.method == "GET" else None
    honest = server._honest
    server._honest = lambda request: Answer(status=403) if "Range" in request.headers else honest(request)
    words = (f"docker://{server.name}/{APP}:1", place(onto, tmp_path, other, "x"))
    assert shop.run("copy", *words).code == 4
    server.fault, server._honest = (lambda _request: None), honest
    server.requests.clear()
    assert copied(shop, *words) == str(image.descriptor.digest)
    (asked,) = [request for request in server.requests if request.path == path]
    assert int(asked.headers["Range"].removeprefix("bytes=").removesuffix("-")) > 100_000


def test_the_credentials_of_each_side_go_to_that_side_only(shop: Shop, source: BlobStore) -> None:
    image = tiny_image(source, BASE)
    with FakeRegistry(token="one") as first, FakeRegistry(token="two") as second:
        first.add(source, APP, "1", image.descriptor)
        words = (f"docker://{first.name}/{APP}:1", f"docker://{second.name}/{APP}:1")
        copied(shop, "--src-creds=me:here", "--dest-creds=me:there", *words)
        for server, password in ((first, "here"), (second, "there")):
            sent = {request.headers.get("Authorization") for request in server.requests if request.path == "/token"}
            assert sent == {Credentials("me", password).header()}
        assert second.has(APP, source, "1", image.descriptor)


@pytest.mark.parametrize(
    ("words", "code", "problem"),
    [
        (("--all", "--platform=arm64", "a:1", "b:1"), 2, "can't be used with --all"),
        (("--creds=me:x", "docker://a.example/x", "docker://b.example/x"), 2, "--creds with two registries"),
        (("--creds=me", "docker://a.example/x", "b:1"), 2, "expected NAME:PASSWORD"),
        (("none:1", "b:1"), 1, "No such image"),
        (("oci:/nowhere", "b:1"), 2, "is not an OCI layout"),
        (("oci-archive:/nowhere", "b:1"), 2, "no such file"),
        (("a:1", "oci-archive:/nowhere/x"), 2, "no such file"),
        (("a:1", "B"), 2, "invalid"),
        (("a:1",), 2, "missing argument"),
        (("dir:/x", "b:1"), 2, "unknown transport"),
    ],
)
def test_what_cannot_be_done_is_told(shop: Shop, words: tuple[str, ...], code: int, problem: str) -> None:
    shop.image("a:1")
    result = shop.run("copy", *words)
    assert (result.code, problem in result.err) == (code, True), result.err


def test_an_archive_that_is_no_layout_is_told(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(docker_archive(["a:1"], BASE))
    result = shop.run("copy", f"oci-archive:{tmp_path / 'x.tar'}", "b:1")
    assert (result.code, "no index.json" in result.err) == (1, True)


def test_collecting_garbage_removes_what_a_copy_left(shop: Shop) -> None:
    directory = shop.store.root / "copying" / "archive-x"
    directory.mkdir(parents=True)
    (directory / "file").write_text("left")
    assert shop.run("prune", "-f").code == 0
    assert not directory.exists()
