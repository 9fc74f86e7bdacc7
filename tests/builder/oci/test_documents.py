import json

import pytest

from pybuild.builder.oci import media
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.errors import InvalidImage
from pybuild.builder.oci.image import Image
from pybuild.builder.oci.registry.registry import Registry
from tests.helpers.registry import APP, TAG, Answer, FakeRegistry


@pytest.mark.parametrize(
    "document",
    [
        {"manifests": [], "layers": [], "config": {}},
        {"config": {"mediaType": "x", "digest": "sha256:../../x", "size": 1}, "layers": []},
        {"config": {"mediaType": "x", "digest": "sha256:" + "A" * 64, "size": 1}, "layers": []},
        {"config": {"mediaType": "x", "digest": "sha256:" + "a" * 64, "size": -1}, "layers": []},
        {"mediaType": "text/html"},
        {"mediaType": media.OCI_INDEX, "manifests": []},
        {},
    ],
)
def test_a_hostile_manifest_is_never_stored(
    registry: Registry, server: FakeRegistry, blobs: BlobStore, document: dict[str, object]
) -> None:
    body = json.dumps({"schemaVersion": 2, **document}).encode()
    headers = {"Content-Type": media.OCI_MANIFEST}
    server.answer(TAG, Answer(status=405), Answer(body=body, headers=headers))
    with pytest.raises(InvalidImage):
        registry.resolve(APP, "1.0", blobs)
    assert list(blobs.digests()) == []


@pytest.mark.parametrize("kind", ["text/html", media.OCI_CONFIG, media.OCI_LAYER_GZIP])
def test_a_document_of_an_unknown_kind_is_never_stored(
    registry: Registry, server: FakeRegistry, source: BlobStore, blobs: BlobStore, image: Image, kind: str
) -> None:
    body = json.dumps({**json.loads(source.read(image.descriptor)), "mediaType": kind}).encode()
    for content_type in ("text/plain", kind):
        server.answer(TAG, Answer(status=405), Answer(body=body, headers={"Content-Type": content_type}))
        with pytest.raises(InvalidImage, match="unknown kind of document"):
            registry.resolve(APP, "1.0", blobs)
    assert list(blobs.digests()) == []


def test_the_announced_kind_and_the_document_must_agree(
    registry: Registry, server: FakeRegistry, source: BlobStore, blobs: BlobStore, image: Image
) -> None:
    headers = {"Content-Type": media.OCI_INDEX}
    server.answer(TAG, Answer(status=405), Answer(body=source.read(image.descriptor), headers=headers))
    with pytest.raises(InvalidImage, match="declared as"):
        registry.resolve(APP, "1.0", blobs)


@pytest.mark.parametrize("content_type", ["", "application/json", "text/plain; charset=utf-8"])
def test_a_registry_that_says_little_is_understood(
    registry: Registry, server: FakeRegistry, source: BlobStore, blobs: BlobStore, image: Image, content_type: str
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    server.answer(TAG, Answer(status=405), Answer(body=source.read(image.descriptor), headers=headers))
    assert registry.resolve(APP, "1.0", blobs).image.id == image.id


@pytest.mark.parametrize(
    "content_type", ["application/vnd.docker.distribution.manifest.v1+prettyjws", "application/json"]
)
def test_the_abandoned_schema_1_is_refused_with_a_clear_text(
    registry: Registry, server: FakeRegistry, blobs: BlobStore, content_type: str
) -> None:
    body = b'{"schemaVersion":1,"name":"team/app","fsLayers":[]}'
    server.answer(TAG, Answer(status=405), Answer(body=body, headers={"Content-Type": content_type}))
    with pytest.raises(InvalidImage, match="schema 1") as caught:
        registry.resolve(APP, "1.0", blobs)
    assert "push the image again" in caught.value.hint
