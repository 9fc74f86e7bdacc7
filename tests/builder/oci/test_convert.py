from dataclasses import replace

import pytest

from pybuild.builder.oci import media
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.convert import Form, convert
from pybuild.builder.oci.image import Image, read_image
from pybuild.builder.oci.model import Descriptor, Index
from pybuild.builder.oci.validate import validate
from tests.helpers.images import AMD64, ARM64, tiny_image, tiny_index


def converted(blobs: BlobStore, descriptor: Descriptor, form: Form) -> Image:
    new = convert(blobs, descriptor, form)
    assert validate(blobs, new) == []
    return read_image(blobs, new)


def test_docker_types_and_back_give_the_same_manifest(blobs: BlobStore) -> None:
    image = tiny_image(blobs, {"a": b"1"}, {"b": b"2"})
    docker = converted(blobs, image.descriptor, Form(docker=True))
    assert docker.descriptor.media_type == docker.manifest.media_type == media.DOCKER_MANIFEST
    assert docker.manifest.config.media_type == media.DOCKER_CONFIG
    assert {layer.media_type for layer in docker.manifest.layers} == {media.DOCKER_LAYER_GZIP}
    assert docker.id == image.id
    assert convert(blobs, docker.descriptor, Form()) == image.descriptor


def test_an_index_becomes_a_list_with_the_same_platforms(blobs: BlobStore) -> None:
    index = tiny_index(blobs, tiny_image(blobs, {"a": b"1"}), tiny_image(blobs, {"a": b"2"}, platform=ARM64))
    new = convert(blobs, index, Form(docker=True))
    found = Index.from_json(blobs.read(new))
    assert new.media_type == found.media_type == media.DOCKER_INDEX
    assert [entry.platform for entry in found.manifests] == [AMD64, ARM64]
    assert {entry.media_type for entry in found.manifests} == {media.DOCKER_MANIFEST}
    assert validate(blobs, new) == []


@pytest.mark.parametrize(
    ("algorithm", "kind"),
    [("zstd", media.OCI_LAYER_ZSTD), ("uncompressed", media.OCI_LAYER), ("gzip", media.OCI_LAYER_GZIP)],
)
def test_all_layers_get_the_compression_that_is_asked_for(blobs: BlobStore, algorithm: str, kind: str) -> None:
    image = tiny_image(blobs, {"a": b"1"}, {"b": b"2"})
    other = converted(blobs, image.descriptor, Form(algorithm=algorithm))
    assert {layer.media_type for layer in other.manifest.layers} == {kind}
    assert (other.id, other.config.diff_ids) == (image.id, image.config.diff_ids)


def test_layers_that_are_as_asked_for_stay_unless_a_level_is_named(blobs: BlobStore) -> None:
    image = tiny_image(blobs, {"a": b"1" * 5000})
    assert convert(blobs, image.descriptor, Form(algorithm="gzip")) == image.descriptor
    stored = converted(blobs, image.descriptor, Form(algorithm="gzip", level=0))
    assert stored.manifest.layers[0].size > image.manifest.layers[0].size


def test_docker_types_never_name_zstd(blobs: BlobStore) -> None:
    image = converted(blobs, tiny_image(blobs, {"a": b"1"}).descriptor, Form(algorithm="zstd"))
    docker = converted(blobs, image.descriptor, Form(docker=True))
    assert [layer.media_type for layer in docker.manifest.layers] == [media.DOCKER_LAYER_GZIP]


def test_annotations_of_layers_and_manifests_stay(blobs: BlobStore) -> None:
    image = tiny_image(blobs, {"a": b"1"})
    layers = tuple(replace(layer, annotations={"of": "layer"}) for layer in image.manifest.layers)
    manifest = replace(image.manifest, layers=layers, annotations={"of": "manifest"})
    noted = blobs.put(manifest.to_json(), manifest.media_type)
    new = converted(blobs, noted, Form(algorithm="zstd")).manifest
    assert (new.annotations, new.layers[0].annotations) == ({"of": "manifest"}, {"of": "layer"})
