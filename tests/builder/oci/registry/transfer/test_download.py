from dataclasses import replace

import pytest

from pybuild.builder.oci import media
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import DigestMismatch, RegistryDenied, RegistryUnavailable, SizeMismatch
from pybuild.builder.oci.image import Image
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.oci.registry.registry import Registry
from pybuild.builder.oci.validate import validate
from tests.helpers.images import tiny_image
from tests.helpers.registry import APP, Answer, FakeRegistry, Patience, blob_path


def test_progress_tells_of_each_blob_to_its_end(registry: Registry, blobs: BlobStore, image: Image) -> None:
    calls: list[tuple[str, int, int]] = []
    registry.resolve(APP, "1.0", blobs)
    registry.fetch(APP, image.manifest.layers, blobs, lambda *call: calls.append(call))
    for layer in image.manifest.layers:
        assert (str(layer.digest), layer.size, layer.size) in calls
    beginnings = [(str(layer.digest), 0, layer.size) for layer in image.manifest.layers]
    assert calls[: len(beginnings)] == beginnings, "the whole of it is known before the first byte"


def test_a_blob_that_is_something_else_is_never_stored(
    registry: Registry, server: FakeRegistry, blobs: BlobStore, image: Image
) -> None:
    layer = image.manifest.layers[0]
    registry.resolve(APP, "1.0", blobs)
    for body, error in [(b"x" * layer.size, DigestMismatch), (b"x" * (layer.size + 1), SizeMismatch)]:
        server.answer(blob_path(image), Answer(body=body))
        with pytest.raises(error):
            registry.fetch(APP, [layer], blobs)
        assert not blobs.exists(layer.digest)
    assert list((blobs.root / "tmp").iterdir()) == []


def test_a_blob_that_stays_short_is_never_stored(
    registry: Registry, server: FakeRegistry, blobs: BlobStore, image: Image, patience: Patience
) -> None:
    layer = image.manifest.layers[0]
    server.answer(blob_path(image), *[Answer(body=b"x" * (layer.size - 1))] * 8)
    with pytest.raises(RegistryUnavailable, match=f"ended after {layer.size - 1} of {layer.size} bytes"):
        registry.fetch(APP, [layer], blobs)
    assert len(patience.waits) == 7
    assert not blobs.exists(layer.digest)


def test_other_places_for_a_layer_are_never_asked(
    registry: Registry, server: FakeRegistry, source: BlobStore, blobs: BlobStore, image: Image
) -> None:
    with FakeRegistry() as foreign:
        layers = tuple(replace(layer, urls=(f"{foreign.url}/layer",)) for layer in image.manifest.layers)
        server.add(
            source, APP, "foreign", source.put(replace(image.manifest, layers=layers).to_json(), media.OCI_MANIFEST)
        )
        found = registry.resolve(APP, "foreign", blobs)
        registry.fetch(APP, found.image.manifest.layers, blobs)
        assert foreign.requests == []
    assert validate(blobs, found.image.descriptor) == []


def test_the_registry_decides_how_long_to_wait(
    registry: Registry, server: FakeRegistry, blobs: BlobStore, image: Image, patience: Patience
) -> None:
    server.answer(blob_path(image), Answer(status=429, headers={"Retry-After": "7"}))
    registry.fetch(APP, image.manifest.layers[:1], blobs)
    assert patience.waits == [7.0]


def test_a_connection_that_breaks_in_the_middle_is_begun_again(
    registry: Registry, server: FakeRegistry, source: BlobStore, blobs: BlobStore, image: Image
) -> None:
    layer = image.manifest.layers[0]
    content = source.path(layer.digest).read_bytes()
    server.answer(
        blob_path(image), *[Answer(body=content[:end], length=len(content)) for end in (0, 1, len(content) - 1)]
    )
    registry.fetch(APP, [layer], blobs)
    assert blobs.has(layer)


def test_when_one_blob_fails_for_good_the_reason_is_shown(
    registry: Registry, server: FakeRegistry, source: BlobStore, blobs: BlobStore
) -> None:
    image = tiny_image(source, *({f"f{n}": bytes([n])} for n in range(12)))
    server.add(source, APP, "many", image.descriptor)
    server.answer(blob_path(image, 3), Answer(status=403))
    with pytest.raises(RegistryDenied):
        registry.fetch(APP, image.manifest.layers, blobs)
    assert not blobs.has(image.manifest.layers[3])
    assert list((blobs.root / "tmp").iterdir()) == []


def test_a_layer_descriptor_of_sha512_is_verified(registry: Registry, server: FakeRegistry, blobs: BlobStore) -> None:
    digest = Digest.parse("sha512:" + "0" * 128)
    wanted = Descriptor(media_type=media.OCI_LAYER, digest=digest, size=3)
    server.put(APP, wanted, b"abc")
    with pytest.raises(DigestMismatch):
        registry.fetch(APP, [wanted], blobs)
    assert list(blobs.digests()) == []
