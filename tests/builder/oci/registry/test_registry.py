import random
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from pybuild.builder.oci import media
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import (
    DigestMismatch,
    ImageNotFound,
    InvalidDigest,
    InvalidImage,
    OciError,
    RegistryError,
)
from pybuild.builder.oci.image import Image, reachable
from pybuild.builder.oci.layout import Layout
from pybuild.builder.oci.model import Index, Manifest
from pybuild.builder.oci.partial_blobs import resumed
from pybuild.builder.oci.registry.registry import Registry
from pybuild.builder.oci.validate import validate
from tests.helpers.docker_registry import docker_registry
from tests.helpers.hosts import need_programs
from tests.helpers.images import AMD64, ARM64, tiny_image, tiny_index
from tests.helpers.registry import APP, TAG, Answer, FakeRegistry, Patience, blob_path, pull


def test_an_image_is_pulled(registry: Registry, server: FakeRegistry, blobs: BlobStore, image: Image) -> None:
    found = registry.resolve(APP, "1.0", blobs)
    assert found.pinned.digest == image.descriptor.digest
    assert (found.image.manifest, found.image.config) == (image.manifest, image.config)
    assert not any(blobs.has(layer) for layer in image.manifest.layers)
    registry.fetch(APP, image.manifest.layers, blobs)
    assert validate(blobs, found.image.descriptor) == []
    assert sorted(blobs.digests()) == sorted(
        item.digest for item in (image.descriptor, image.manifest.config, *image.manifest.layers)
    )


def test_a_digest_names_an_image_too(registry: Registry, blobs: BlobStore, image: Image) -> None:
    assert pull(registry, blobs, str(image.descriptor.digest)).pinned.digest == image.descriptor.digest


def test_what_is_in_the_store_is_not_fetched_again(registry: Registry, server: FakeRegistry, blobs: BlobStore) -> None:
    pull(registry, blobs)
    server.requests.clear()
    pull(registry, blobs)
    assert server.paths("GET") == []
    assert server.paths("HEAD") == [TAG]


def test_a_tag_that_moved_is_noticed(
    registry: Registry, server: FakeRegistry, source: BlobStore, blobs: BlobStore
) -> None:
    pull(registry, blobs)
    newer = tiny_image(source, {"new": b"x"})
    server.add(source, APP, "1.0", newer.descriptor)
    assert registry.resolve(APP, "1.0", blobs).image.id == newer.id


def test_the_platform_is_chosen_and_the_index_is_pinned(
    registry: Registry, server: FakeRegistry, source: BlobStore, blobs: BlobStore, image: Image
) -> None:
    other = tiny_image(source, {"c": b"3"}, platform=ARM64)
    index = tiny_index(source, image, other)
    server.add(source, APP, "multi", index)
    found = registry.resolve(APP, "multi", blobs, ARM64)
    assert found.pinned == index
    assert found.image.id == other.id
    assert not blobs.exists(image.descriptor.digest)
    with pytest.raises(ImageNotFound, match="no image for linux/arm64/v9"):
        registry.resolve(APP, "multi", blobs, replace(ARM64, architecture="arm64/v9"))


def test_documents_of_docker_are_understood(
    registry: Registry, server: FakeRegistry, source: BlobStore, blobs: BlobStore, image: Image
) -> None:
    layers = tuple(replace(layer, media_type=media.DOCKER_LAYER_GZIP) for layer in image.manifest.layers)
    config = replace(image.manifest.config, media_type=media.DOCKER_CONFIG)
    manifest = source.put(
        Manifest(media_type=media.DOCKER_MANIFEST, config=config, layers=layers).to_json(), media.DOCKER_MANIFEST
    )
    index = Index(media_type=media.DOCKER_INDEX, manifests=(replace(manifest, platform=AMD64),))
    server.add(source, APP, "docker", source.put(index.to_json(), media.DOCKER_INDEX))
    found = registry.resolve(APP, "docker", blobs, AMD64)
    registry.fetch(APP, found.image.manifest.layers, blobs)
    assert found.image.id == image.id
    assert validate(blobs, found.pinned) == []


def test_a_missing_image_is_named(registry: Registry, blobs: BlobStore, server: FakeRegistry) -> None:
    with pytest.raises(ImageNotFound, match=f"manifest for {server.name}/{APP}:gone not found: manifest unknown"):
        registry.resolve(APP, "gone", blobs)
    with pytest.raises(ImageNotFound):
        registry.resolve(APP, str(Digest.of(b"gone")), blobs)


@pytest.mark.parametrize("tag", ["", "../x", "a/b", "-a", "a" * 129, "a?b", "a b"])
def test_a_tag_is_a_name_and_no_path(registry: Registry, server: FakeRegistry, blobs: BlobStore, tag: str) -> None:
    with pytest.raises(RegistryError, match="invalid tag"):
        registry.resolve(APP, tag, blobs)
    with pytest.raises(InvalidDigest):
        registry.resolve(APP, "sha256:../x", blobs)
    assert server.requests == []


def test_a_document_that_is_something_else_is_never_stored(
    registry: Registry, server: FakeRegistry, source: BlobStore, blobs: BlobStore, image: Image
) -> None:
    other = source.read(tiny_image(source, {"evil": b"x"}).descriptor)
    path = f"/v2/{APP}/manifests/{image.descriptor.digest}"
    server.answer(path, Answer(body=other, headers={"Content-Type": media.OCI_MANIFEST}))
    with pytest.raises(DigestMismatch):
        registry.resolve(APP, "1.0", blobs)
    assert list(blobs.digests()) == []


def test_the_announced_digest_and_the_document_must_agree(
    registry: Registry, server: FakeRegistry, source: BlobStore, blobs: BlobStore, image: Image
) -> None:
    headers = {"Content-Type": media.OCI_MANIFEST, "Docker-Content-Digest": str(Digest.of(b"other"))}
    server.answer(TAG, Answer(status=405), Answer(body=source.read(image.descriptor), headers=headers))
    with pytest.raises(DigestMismatch):
        registry.resolve(APP, "1.0", blobs)


def test_a_document_without_end_is_refused(registry: Registry, server: FakeRegistry, blobs: BlobStore) -> None:
    server.answer(TAG, Answer(status=405), Answer(body=b" " * (4 * 1024 * 1024 + 1)))
    with pytest.raises(InvalidImage, match="larger than 4194304 bytes"):
        registry.resolve(APP, "1.0", blobs)


def test_a_manifest_that_is_cut_off_is_told_with_its_digest(
    registry: Registry, server: FakeRegistry, source: BlobStore, blobs: BlobStore, image: Image
) -> None:
    cut = source.read(image.descriptor)[:-1]
    server.answer(TAG, Answer(status=405), Answer(body=cut, headers={"Content-Type": media.OCI_MANIFEST}))
    with pytest.raises(InvalidImage) as caught:
        registry.resolve(APP, "1.0", blobs)
    place = f"line 1, column {len(cut) + 1}"
    assert str(caught.value) == f"document {Digest.of(cut)}: is not valid JSON ({place})"
    assert list(blobs.digests()) == []


def test_a_config_that_claims_to_be_large_is_not_asked_for(
    registry: Registry, server: FakeRegistry, source: BlobStore, blobs: BlobStore, image: Image
) -> None:
    config = replace(image.manifest.config, size=5 * 1024 * 1024)
    body = replace(image.manifest, config=config).to_json()
    server.answer(TAG, Answer(status=405), Answer(body=body, headers={"Content-Type": media.OCI_MANIFEST}))
    with pytest.raises(InvalidImage, match="larger than"):
        registry.resolve(APP, "1.0", blobs)
    assert all("/blobs/" not in path for path in server.paths())


def test_indexes_in_one_another_have_a_limit(
    registry: Registry, server: FakeRegistry, source: BlobStore, blobs: BlobStore, image: Image
) -> None:
    descriptor = image.descriptor
    for _ in range(4):
        index = Index(manifests=(replace(descriptor, platform=AMD64),))
        descriptor = source.put(index.to_json(), media.OCI_INDEX)
        server.put(APP, descriptor, index.to_json())
    server.content[f"/v2/{APP}/manifests/deep"] = server.content[f"/v2/{APP}/manifests/{descriptor.digest}"]
    with pytest.raises(InvalidImage, match="more than 3 indexes in one another"):
        registry.resolve(APP, "deep", blobs, AMD64)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_passing_failure_is_waited_out_everywhere(
    registry: Registry, server: FakeRegistry, blobs: BlobStore, image: Image, status: int, patience: Patience
) -> None:
    for path in (
        TAG,
        f"/v2/{APP}/manifests/{image.descriptor.digest}",
        f"/v2/{APP}/blobs/{image.id}",
        blob_path(image),
    ):
        server.answer(path, Answer(status=status), Answer(status=status))
    assert validate(blobs, pull(registry, blobs).image.descriptor) == []
    # The second answer of the tag is that of the GET which asks why HEAD failed: no wait lies between the two.
    assert len(patience.waits) == 7


def test_several_threads_pull_with_one_registry(source: BlobStore, tmp_path: Path, image: Image) -> None:
    failures: list[BaseException] = []
    with FakeRegistry(token="secret") as guarded:
        guarded.add(source, APP, "1.0", image.descriptor)
        registry = Registry(guarded.name)

        def work(number: int) -> None:
            try:
                pull(registry, BlobStore(tmp_path / str(number)))
            except OciError as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []
    assert all(BlobStore(tmp_path / str(n)).has(image.manifest.layers[0]) for n in range(4))


@pytest.mark.interop
def test_an_image_comes_from_a_real_registry(source: BlobStore, blobs: BlobStore, image: Image, tmp_path: Path) -> None:
    need_programs(["docker-registry", "skopeo"])
    (tmp_path / "policy.json").write_text('{"default":[{"type":"insecureAcceptAnything"}]}')
    Layout(source.root).tag("app", image.descriptor)
    with docker_registry(tmp_path / "registry") as server:
        places = [f"oci:{source.root}:app", f"docker://{server.name}/{APP}:1.0"]
        command = ["skopeo", "--policy", tmp_path / "policy.json", "copy", "--dest-tls-verify=false", *places]
        subprocess.run(command, check=True, capture_output=True)
        found = pull(Registry(server.name), blobs)
    assert found.image.id == image.id
    assert validate(blobs, found.image.descriptor) == []


def test_everything_below_an_index_is_pulled(
    registry: Registry, server: FakeRegistry, source: BlobStore, blobs: BlobStore, image: Image
) -> None:
    index = tiny_index(source, image, tiny_image(source, {"c": b"3"}, platform=ARM64))
    server.add(source, APP, "multi", index)
    pinned, wanted = registry.resolve_all(APP, "multi", blobs)
    registry.fetch(APP, wanted, blobs)
    assert pinned == index
    assert validate(blobs, pinned) == []
    assert sorted(blobs.digests()) == sorted(item.digest for item in reachable(source, index))


def test_a_download_goes_on_in_another_process(
    server: FakeRegistry, source: BlobStore, blobs: BlobStore, patience: Patience
) -> None:
    image = tiny_image(source, {"a": random.Random(1).randbytes(100_000)})
    server.add(source, APP, "big", image.descriptor)
    layer = image.manifest.layers[0]
    content = source.path(layer.digest).read_bytes()
    server.answer(blob_path(image), *[Answer(body=content[:60_000], length=len(content))] * 8)
    with (
        Registry(server.name, retry=patience.retry) as registry,
        pytest.raises(RegistryError, match="connection broke"),
    ):
        registry.fetch(APP, [layer], blobs)
    server.requests.clear()
    with Registry(server.name, retry=patience.retry) as registry:
        registry.fetch(APP, [layer], blobs)
    assert [request.headers.get("Range") for request in server.requests] == ["bytes=60000-"]
    assert blobs.has(layer)
    assert list((blobs.root / "tmp").iterdir()) == []


def test_damage_in_what_was_left_is_found_and_put_right(
    registry: Registry, server: FakeRegistry, source: BlobStore, blobs: BlobStore, image: Image
) -> None:
    layer = image.manifest.layers[0]
    with resumed(blobs, layer.digest) as writer:
        writer.write(b"x" * (layer.size - 1))
    registry.fetch(APP, [layer], blobs)
    assert blobs.has(layer)
    assert [request.headers.get("Range") for request in server.requests] == [f"bytes={layer.size - 1}-", None]
