import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybuild.builder.oci import media
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import InvalidImage
from pybuild.builder.oci.model import Descriptor, ImageConfig, Index, Manifest, Platform, chain_ids

A, B = Digest.of(b"a"), Digest.of(b"b")
CONFIG = {"mediaType": media.OCI_CONFIG, "digest": str(A), "size": 1}
LAYER = {"mediaType": media.OCI_LAYER_GZIP, "digest": str(B), "size": 2}
MANIFEST = Manifest(
    config=Descriptor(media_type=media.OCI_CONFIG, digest=A, size=1),
    layers=(Descriptor(media_type=media.OCI_LAYER_GZIP, digest=B, size=2, annotations={"z": "1", "a": "<"}),),
    annotations={"k": "v"},
)
INDEX = Index(
    manifests=(
        Descriptor(
            media_type=media.OCI_MANIFEST,
            digest=A,
            size=1,
            platform=Platform(os="linux", architecture="arm", variant="v7", os_version="1", os_features=("f",)),
            urls=("https://example.com/x",),
        ),
    )
)


def manifest(**changes: Any) -> bytes:
    return json.dumps({"schemaVersion": 2, "config": CONFIG, "layers": [LAYER], **changes}).encode()


def index(**changes: Any) -> bytes:
    return json.dumps({"schemaVersion": 2, "manifests": [CONFIG], **changes}).encode()


def test_a_manifest_is_written_in_the_order_of_the_specification() -> None:
    assert MANIFEST.to_json().decode() == (
        f'{{"schemaVersion":2,"mediaType":"{media.OCI_MANIFEST}",'
        f'"config":{{"mediaType":"{media.OCI_CONFIG}","digest":"{A}","size":1}},'
        f'"layers":[{{"mediaType":"{media.OCI_LAYER_GZIP}","digest":"{B}","size":2,'
        '"annotations":{"a":"\\u003c","z":"1"}}],"annotations":{"k":"v"}}'
    )


def test_an_index_is_written_in_the_order_of_the_specification() -> None:
    assert INDEX.to_json().decode() == (
        f'{{"schemaVersion":2,"mediaType":"{media.OCI_INDEX}","manifests":[{{"mediaType":"{media.OCI_MANIFEST}",'
        f'"digest":"{A}","size":1,"urls":["https://example.com/x"],"platform":{{"architecture":"arm","os":"linux",'
        '"os.version":"1","os.features":["f"],"variant":"v7"}}]}'
    )


def test_reading_gives_back_what_was_written() -> None:
    assert Manifest.from_json(MANIFEST.to_json()) == MANIFEST
    assert Index.from_json(INDEX.to_json()) == INDEX


def test_a_platform_is_shown_as_users_write_it() -> None:
    assert str(Platform(os="linux", architecture="arm", variant="v7")) == "linux/arm/v7"
    assert str(Platform(os="linux", architecture="amd64")) == "linux/amd64"


def test_chain_ids_name_the_tree_after_each_layer() -> None:
    second = Digest.of(f"{A} {B}".encode())
    third = Digest.of(f"{second} {A}".encode())
    assert chain_ids((A, B, A)) == (str(A), str(second), str(third))
    assert chain_ids(()) == ()


@pytest.mark.parametrize(
    "raw",
    [
        manifest(manifests=[]),
        manifest(manifests=None),
        manifest(Manifests=[CONFIG]),
        manifest(mediaType=media.OCI_INDEX),
        manifest(Layers=[]),
        b'{"schemaVersion":2,"config":{},"layers":[],"layers":[]}',
    ],
)
def test_what_could_also_be_an_index_is_no_manifest(raw: bytes) -> None:
    with pytest.raises(InvalidImage):
        Manifest.from_json(raw)


@pytest.mark.parametrize(
    "raw", [index(layers=[]), index(config=CONFIG), index(LAYERS=[LAYER]), index(mediaType=media.OCI_MANIFEST)]
)
def test_what_could_also_be_a_manifest_is_no_index(raw: bytes) -> None:
    with pytest.raises(InvalidImage):
        Index.from_json(raw)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({**LAYER, "size": "2"}, "manifest.layers[0].size: expected int"),
        ({**LAYER, "size": -1}, "manifest.layers[0].size: out of range"),
        ({**LAYER, "size": 1 << 63}, "manifest.layers[0].size: out of range"),
        ({**LAYER, "size": 2.0}, "manifest.layers[0].size: expected int"),
        ({**LAYER, "size": None}, "manifest.layers[0].size: expected int, found nothing"),
        ({**LAYER, "mediaType": None}, "manifest.layers[0].mediaType: expected string, found nothing"),
    ],
)
def test_a_wrong_descriptor_is_refused_with_its_place(layer: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidImage) as caught:
        Manifest.from_json(manifest(layers=[layer]))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "digest",
    [
        "sha256:../../../etc/passwd",
        "sha256:" + "A" * 64,
        "sha256:" + "a" * 63,
        "sha256:" + "a" * 65,
        "sha256:" + "a" * 63 + "\n",
        "sha256:" + "a" * 62 + "/b",
        "sha256:" + "a" * 63 + "\0",
        "md5:" + "a" * 32,
        "sha512:" + "a" * 64,
        "sha256",
        "",
    ],
)
def test_a_digest_that_is_none_never_becomes_a_descriptor(digest: str) -> None:
    with pytest.raises(InvalidImage, match=r"^manifest\.config\.digest: "):
        Manifest.from_json(manifest(config={**CONFIG, "digest": digest}))


@pytest.mark.parametrize("version", [1, 3, None, "2", True])
def test_only_schema_2_is_read(version: object) -> None:
    with pytest.raises(InvalidImage, match=r"^manifest\.schemaVersion: "):
        Manifest.from_json(manifest(schemaVersion=version))
    with pytest.raises(InvalidImage, match=r"^index\.schemaVersion: "):
        Index.from_json(index(schemaVersion=version))


def test_an_index_must_list_manifests() -> None:
    with pytest.raises(InvalidImage, match=r"^index\.manifests: expected list, found nothing$"):
        Index.from_json(b'{"schemaVersion":2}')


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
KEYS = ("schemaVersion", "mediaType", "config", "layers", "manifests", "annotations", "rootfs", "history", "os")


@given(st.dictionaries(st.sampled_from(KEYS), JSON | st.just(2) | st.just(CONFIG) | st.just([LAYER])))
def test_no_document_does_worse_than_being_refused(document: dict[str, object]) -> None:
    raw = json.dumps(document).encode()
    for kind in (Manifest, Index, ImageConfig):
        try:
            parsed = kind.from_json(raw)
        except InvalidImage:
            continue
        assert kind.from_json(parsed.to_json()) == parsed


@given(st.binary(max_size=200))
def test_no_bytes_do_worse_than_being_refused(raw: bytes) -> None:
    for kind in (Manifest, Index, ImageConfig):
        with pytest.raises(InvalidImage):
            kind.from_json(raw)
