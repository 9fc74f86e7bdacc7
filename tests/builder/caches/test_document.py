import json
from typing import Any

import pytest

from pybuild.builder.caches.document import Mount, Remembered
from pybuild.builder.oci import media
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import InvalidImage
from pybuild.builder.store.cache import BuiltLayer, Layers

A, B, C = (Digest.of(text) for text in (b"a", b"b", b"c"))
BASE = BuiltLayer(A, B, 3, media.OCI_LAYER)
MADE = BuiltLayer(B, C, 6, media.OCI_LAYER_GZIP, "2024-01-02T03:04:05.5Z")
MOUNT = Mount(
    name="cache mount /x",
    layer=BuiltLayer(C, A, 1, media.OCI_LAYER_ZSTD, "2024-01-02T03:04:05Z"),
    mode=0o700,
    uid=5,
    gid=6,
)
STORED = b'{"version":1,"layers":[{"diffID":"sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb","digest":"sha256:3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d","size":3,"mediaType":"application/vnd.oci.image.layer.v1.tar"},{"diffID":"sha256:3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d","digest":"sha256:2e7d2c03a9507ae265ecf5b5356885a53393a2029d241394997265a1a25aefc6","size":6,"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","created":"2024-01-02T03:04:05.5Z","made":"2025-01-02T03:04:05Z"},{"diffID":"sha256:2e7d2c03a9507ae265ecf5b5356885a53393a2029d241394997265a1a25aefc6","digest":"sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb","size":1,"mediaType":"application/vnd.oci.image.layer.v1.tar+zstd","created":"2024-01-02T03:04:05Z"}],"records":[{"key":"sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb","layers":[0,1]}],"selections":[{"key":"sha256:2e7d2c03a9507ae265ecf5b5356885a53393a2029d241394997265a1a25aefc6","content":"sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"}],"mounts":[{"name":"cache mount /x","layer":2,"mode":448,"uid":5,"gid":6}]}'
KNOWN = Remembered(records={A: Layers([BASE, MADE]), B: Layers([BASE])}, selections={C: A}, mounts=(MOUNT,))


def test_a_document_comes_back_as_it_was() -> None:
    assert Remembered.from_json(KNOWN.to_json()) == KNOWN
    assert Remembered.from_json(Remembered().to_json()) == Remembered()


def test_layers_of_the_base_are_no_blobs_of_the_cache() -> None:
    assert [blob.digest for blob in KNOWN.blobs] == [C, A]


def changed(path: str, value: Any) -> bytes:
    document = json.loads(KNOWN.to_json())
    *way, last = path.split(".")
    place = document
    for step in way:
        place = place[int(step) if step.isdigit() else step]
    place[last] = value
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("version", 2),
        ("layers.0.digest", "sha256:../../etc"),
        ("layers.0.size", -1),
        ("layers.0.mediaType", "text/plain"),
        ("layers.1.created", "yesterday"),
        ("layers.1.created", "2024-13-32T25:61:00Z"),
        ("records.0.key", "x"),
        ("records.0.layers", [0, 9]),
        ("records.0.layers", [-1]),
        ("records.0.layers", [True]),
        ("records.0.layers", "0"),
        ("selections.0.content", None),
        ("mounts.0.layer", 7),
        ("mounts.0.mode", 0o10000),
        ("mounts.0.uid", -1),
        ("mounts.0.name", ""),
    ],
)
def test_what_is_wrong_in_a_document_is_refused(path: str, value: Any) -> None:
    with pytest.raises(InvalidImage):
        Remembered.from_json(changed(path, value))


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b"\xff", b'{"version": 1, "version": 1}'])
def test_what_is_no_document_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidImage):
        Remembered.from_json(raw)


def test_the_document_is_written_as_it_always_was() -> None:
    made = BuiltLayer(B, C, 6, media.OCI_LAYER_GZIP, "2024-01-02T03:04:05.5Z", "2025-01-02T03:04:05Z")
    known = Remembered(records={A: Layers([BASE, made])}, selections={C: A}, mounts=(MOUNT,))
    assert known.to_json() == STORED
