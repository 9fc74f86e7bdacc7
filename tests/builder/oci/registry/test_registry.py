import random
import shutil
import socket
import subprocess
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Self

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
from pybuild.builder.oci.registry.access import Access
from pybuild.builder.oci.registry.configuration import Configuration
from pybuild.builder.oci.registry.mirrors import Mirror, MirrorRule
from pybuild.builder.oci.registry.registry import Registry
from pybuild.builder.oci.registry.settings import Settings
from pybuild.builder.oci.registry.wire.http import Timing
from pybuild.builder.oci.validate import validate
from tests.helpers.images import AMD64, ARM64, tiny_image, tiny_index
from tests.helpers.registry import APP, TAG, Answer, FakeRegistry, Patience, blob_path, pull
from tests.helpers.serving import on_a_free_port


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


@pytest.mark.parametrize("repository", ["", "../x", "a//b", "A/b", "a/../b", "a?x", "a b", "a/b/"])
def test_a_repository_is_a_name_and_no_path(
    registry: Registry, server: FakeRegistry, blobs: BlobStore, repository: str
) -> None:
    with pytest.raises(RegistryError, match="invalid repository name"):
        registry.resolve(repository, "1.0", blobs)
    assert server.requests == []


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


CONFIG = """
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {directory}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@pytest.mark.interop
@pytest.mark.skipif(
    not (shutil.which("docker-registry") and shutil.which("skopeo")), reason="no docker-registry or skopeo"
)
def test_an_image_comes_from_a_real_registry(source: BlobStore, blobs: BlobStore, image: Image, tmp_path: Path) -> None:
    (tmp_path / "policy.json").write_text('{"default":[{"type":"insecureAcceptAnything"}]}')
    Layout(source.root).tag("app", image.descriptor)

    def start(port: int) -> subprocess.Popen[bytes]:
        (tmp_path / "config.yml").write_text(CONFIG.format(directory=tmp_path / "registry", port=port))
        words = ["docker-registry", "serve", str(tmp_path / "config.yml")]
        return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    server, port = on_a_free_port(start)
    try:
        places = [f"oci:{source.root}:app", f"docker://127.0.0.1:{port}/{APP}:1.0"]
        subprocess.run(
            ["skopeo", "--policy", tmp_path / "policy.json", "copy", "--dest-tls-verify=false", *places],
            check=True,
            capture_output=True,
        )
        found = pull(Registry(f"localhost:{port}"), blobs)
    finally:
        server.terminate()
        server.wait()
    assert found.image.id == image.id
    assert validate(blobs, found.image.descriptor) == []


class Mute:
    """A server that takes connections and says nothing; *asked* counts them."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.name = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._open: list[socket.socket] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._socket.close()
        for connection in self._open:
            connection.close()

    @property
    def asked(self) -> int:
        self._socket.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                self._open.append(self._socket.accept()[0])
        return len(self._open)


def mirrored(server: FakeRegistry, *mirrors: FakeRegistry | Mute) -> Settings:
    """Settings in which *server* has these mirrors."""
    entry = MirrorRule(prefix=server.name, mirrors=tuple(Mirror(location=f"{mirror.name}/hub") for mirror in mirrors))
    return Settings(configuration=Configuration(entries=(entry,)))


def test_a_mirror_is_asked_before_the_registry(
    server: FakeRegistry, source: BlobStore, blobs: BlobStore, image: Image
) -> None:
    with FakeRegistry() as mirror, Registry(server.name, mirrored(server, mirror)) as registry:
        mirror.add(source, f"hub/{APP}", "1.0", image.descriptor)
        assert validate(blobs, pull(registry, blobs).pinned) == []
        assert server.requests == []


def test_a_mirror_that_hangs_is_asked_once_in_a_build(server: FakeRegistry, blobs: BlobStore, image: Image) -> None:
    told: list[str] = []
    access = Access(tell=told.append)
    with Mute() as mirror:
        settings = mirrored(server, mirror)
        for _stage in range(3):
            with Registry(server.name, settings, access=access, timing=Timing(stall=0.1)) as registry:
                assert pull(registry, blobs).image.id == image.id
                blobs.remove(image.manifest.layers[0].digest)
                blobs.remove(image.descriptor.digest)
        assert mirror.asked == 1
    (text,) = told
    assert text.startswith(f"the mirror {mirror.name} is not used any more: http://{mirror.name}: ")


def test_another_build_asks_the_mirror_again(server: FakeRegistry, blobs: BlobStore) -> None:
    with Mute() as mirror:
        for _build in range(2):
            with Registry(server.name, mirrored(server, mirror), timing=Timing(stall=0.1)) as registry:
                registry.resolve(APP, "1.0", blobs)
        assert mirror.asked == 2


@pytest.mark.parametrize("damage", ["gone", "busy", "other", "short"])
def test_a_mirror_that_fails_is_passed_over(
    server: FakeRegistry, source: BlobStore, blobs: BlobStore, image: Image, patience: Patience, damage: str
) -> None:
    with FakeRegistry() as first, FakeRegistry() as second:
        for mirror in (first, second):
            mirror.add(source, f"hub/{APP}", "1.0", image.descriptor)
        for path, (kind, body, digest) in list(first.content.items()):
            if damage == "gone":
                del first.content[path]
            elif damage == "other" and "/blobs/" in path:
                first.content[path] = (kind, b"x" * len(body), digest)
            elif damage == "short" and "/blobs/" in path:
                first.content[path] = (kind, body[:-1], digest)
            elif damage == "busy":
                first.answer(path, *[Answer(status=503)] * 20)
        with Registry(server.name, mirrored(server, first, second), retry=patience.retry) as registry:
            assert validate(blobs, pull(registry, blobs).pinned) == []
        assert first.requests
        assert server.requests == []
    assert list((blobs.root / "tmp").iterdir()) == []


def test_a_push_goes_to_the_registry_itself(source: BlobStore, image: Image, server: FakeRegistry) -> None:
    with FakeRegistry() as mirror, Registry(server.name, mirrored(server, mirror)) as registry:
        registry.push(APP, ["2.0"], image.descriptor, source)
        assert server.has(APP, source, "2.0", image.descriptor)
        assert mirror.requests == []


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


def test_what_a_server_wants_to_be_known_is_kept(registry: Registry, server: FakeRegistry, blobs: BlobStore) -> None:
    for _ in range(2):
        server.answer(TAG, Answer(status=405, headers={"Warning": '299 - "be \x1b[2J warned"'}))
        registry.resolve(APP, "1.0", blobs)
    assert registry.warnings == ("be ?[2J warned",)


def test_an_insecure_registry_may_speak_plain_http(server: FakeRegistry, blobs: BlobStore, image: Image) -> None:
    with Registry(server.name, Settings(verify=False)) as registry:
        assert pull(registry, blobs).image.id == image.id


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
