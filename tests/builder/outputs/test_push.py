from collections.abc import Iterator
from pathlib import Path

import pytest

from pybuild.builder.errors import PushFailed
from pybuild.builder.oci.image import Image
from pybuild.builder.outputs.kinds import write
from pybuild.builder.outputs.push import mount_sources
from pybuild.builder.outputs.registry import RegistryOutput
from pybuild.builder.store.store import Store, open_store
from tests.helpers.images import tiny_image, tiny_index
from tests.helpers.registry import Answer, FakeRegistry


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(tmp_path / "none.conf"))
    store = open_store(tmp_path / "store")
    yield store
    store.close()


@pytest.fixture
def image(store: Store) -> Image:
    return tiny_image(store.blobs, {"a": b"1"}, {"b": b"2"})


OUTPUT = RegistryOutput()


def test_an_image_goes_to_the_registry_of_each_name(store: Store, image: Image, server: FakeRegistry) -> None:
    told: list[tuple[object, ...]] = []
    with FakeRegistry() as other:
        names = (f"{server.name}/a:1", f"{server.name}/a:2", f"{other.name}/b:1")
        write((names, image.descriptor), (OUTPUT,), store, lambda *what: told.append(what))
        assert other.has("b", store.blobs, "1", image.descriptor)
    assert server.has("a", store.blobs, "1", image.descriptor)
    assert server.has("a", store.blobs, "2", image.descriptor)
    assert [what for what in told if len(what) == 1] == [
        (f"pushing manifest for {name}@{image.descriptor.digest}",) for name in names
    ]
    layer = image.manifest.layers[0]
    assert (str(layer.digest), layer.size, layer.size) in told


def test_an_image_may_be_pushed_without_a_tag(store: Store, image: Image, server: FakeRegistry) -> None:
    output = RegistryOutput(by_digest=True)
    write(((f"{server.name}/a:1",), image.descriptor), (output,), store)
    assert f"/v2/a/manifests/{image.descriptor.digest}" in server.content
    assert "/v2/a/manifests/1" not in server.content


def test_a_registry_may_be_called_insecure(store: Store, image: Image, server: FakeRegistry) -> None:
    output = RegistryOutput(insecure=True)
    write(((f"{server.name}/a:1",), image.descriptor), (output,), store)
    assert server.has("a", store.blobs, "1", image.descriptor)


def test_a_refusal_is_the_failure_of_a_push(store: Store, image: Image, server: FakeRegistry) -> None:
    server.answer("/v2/a/manifests/1", Answer(status=403))
    with pytest.raises(PushFailed, match=f"failed to push {server.name}/a: PUT .* status 403"):
        write(((f"{server.name}/a:1",), image.descriptor), (OUTPUT,), store)


def test_sources_of_mounts_are_names_in_the_same_registry(store: Store, image: Image) -> None:
    index = tiny_index(store.blobs, tiny_image(store.blobs, {"a": b"1"}))
    for name, descriptor in [
        ("a.com/base:1", image.descriptor),
        ("a.com/base:2", image.descriptor),
        ("b.com/other:1", image.descriptor),
        ("a.com/multi:1", index),
        ("not a name", image.descriptor),
    ]:
        store.layout.tag(name, descriptor)
    sources = mount_sources(store, "a.com")
    assert sources[image.manifest.layers[0].digest] == ["base", "multi"]
    assert sources[image.manifest.layers[1].digest] == ["base"]
    assert mount_sources(store, "c.com") == {}
