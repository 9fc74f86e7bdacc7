"""The servers of a registry: mirrors first, and what is remembered of them."""

import socket
from contextlib import suppress
from typing import Self

import pytest

from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.errors import RegistryError
from pybuild.builder.oci.image import Image
from pybuild.builder.oci.registry.access import Access
from pybuild.builder.oci.registry.configuration import Configuration
from pybuild.builder.oci.registry.mirrors import Mirror, MirrorRule
from pybuild.builder.oci.registry.registry import Registry
from pybuild.builder.oci.registry.settings import Settings
from pybuild.builder.oci.registry.wire.http import Timing
from pybuild.builder.oci.validate import validate
from tests.helpers.registry import APP, TAG, Answer, FakeRegistry, Patience, pull


@pytest.mark.parametrize("repository", ["", "../x", "a//b", "A/b", "a/../b", "a?x", "a b", "a/b/"])
def test_a_repository_is_a_name_and_no_path(
    registry: Registry, server: FakeRegistry, blobs: BlobStore, repository: str
) -> None:
    with pytest.raises(RegistryError, match="invalid repository name"):
        registry.resolve(repository, "1.0", blobs)
    assert server.requests == []


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


def test_what_a_server_wants_to_be_known_is_kept(registry: Registry, server: FakeRegistry, blobs: BlobStore) -> None:
    for _ in range(2):
        server.answer(TAG, Answer(status=405, headers={"Warning": '299 - "be \x1b[2J warned"'}))
        registry.resolve(APP, "1.0", blobs)
    assert registry.warnings == ("be ?[2J warned",)


def test_an_insecure_registry_may_speak_plain_http(server: FakeRegistry, blobs: BlobStore, image: Image) -> None:
    with Registry(server.name, Settings(verify=False)) as registry:
        assert pull(registry, blobs).image.id == image.id
