import gzip
from dataclasses import replace

import pytest

from pybuild.builder.oci import media
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import BlobNotFound, ImageNotFound, InvalidImage, OtherPlatform
from pybuild.builder.oci.image import host_platform, reachable, read_image, write_image
from pybuild.builder.oci.model import Descriptor, ImageConfig, Index, Manifest, Platform
from pybuild.builder.oci.validate import validate
from tests.helpers.images import AMD64, ARM64, tar_of, tiny_config, tiny_image, tiny_index


def platform(text: str) -> Platform:
    os_name, architecture, variant = (*text.split("/"), "")[:3]
    return Platform(os=os_name, architecture=architecture, variant=variant)


def test_an_image_that_was_written_can_be_read(blobs: BlobStore) -> None:
    image = tiny_image(blobs, {"a": b"1"}, {"b": b"2"})
    found = read_image(blobs, image.descriptor)
    assert (found.manifest, found.config) == (image.manifest, image.config)
    assert found.id == Digest.of(image.config.to_json())
    assert validate(blobs, image.descriptor) == []


def test_the_same_values_give_the_same_image(blobs: BlobStore) -> None:
    assert tiny_image(blobs, {"a": b"1"}) == tiny_image(blobs, {"a": b"1"})


def test_an_image_needs_a_diff_id_for_each_layer(blobs: BlobStore) -> None:
    with pytest.raises(InvalidImage):
        write_image(blobs, tiny_config([b"x"]), ())


def test_layers_of_a_docker_image_are_named_as_oci_names_them(blobs: BlobStore) -> None:
    tar = tar_of({"a": b"1"})
    layer = blobs.put(gzip.compress(tar, mtime=0), media.DOCKER_LAYER_GZIP)
    image = write_image(blobs, tiny_config([tar]), (layer,), {"k": "v"})
    assert image.manifest.layers[0].media_type == media.OCI_LAYER_GZIP
    assert image.manifest.annotations == {"k": "v"}
    assert validate(blobs, image.descriptor) == []


@pytest.mark.parametrize(
    ("present", "wanted", "chosen"),
    [
        (["linux/amd64", "linux/arm64"], "linux/arm64", "linux/arm64"),
        (["linux/arm64/v8"], "linux/arm64", "linux/arm64/v8"),
        (["linux/arm64"], "linux/arm64/v8", "linux/arm64"),
        (["linux/arm/v6", "linux/arm/v7"], "linux/arm", "linux/arm/v7"),
        (["linux/arm/v5", "linux/arm/v6"], "linux/arm/v7", "linux/arm/v6"),
        (["linux/amd64"], "linux/amd64/v3", "linux/amd64"),
        (["linux/amd64/v2", "linux/amd64"], "linux/amd64", "linux/amd64"),
    ],
)
def test_the_best_platform_of_an_index_is_chosen(
    blobs: BlobStore, present: list[str], wanted: str, chosen: str
) -> None:
    images = {name: tiny_image(blobs, {"f": name.encode()}, platform=platform(name)) for name in present}
    index = tiny_index(blobs, *images.values())
    assert read_image(blobs, index, platform(wanted)).id == images[chosen].id


@pytest.mark.parametrize(
    ("present", "wanted"),
    [(["linux/amd64"], "linux/arm64"), (["linux/arm/v7"], "linux/arm/v6"), (["linux/amd64/v3"], "linux/amd64")]
    # So many older versions must not be tried one by one.
    + [(["linux/arm/v7"], f"linux/arm/v{number}") for number in ("9" * 12, "9" * 5000)],
    ids=lambda name: str(name)[:20],
)
def test_without_a_fitting_platform_the_error_lists_what_there_is(
    blobs: BlobStore, present: list[str], wanted: str
) -> None:
    index = tiny_index(blobs, *(tiny_image(blobs, platform=platform(name)) for name in present))
    with pytest.raises(ImageNotFound) as caught:
        read_image(blobs, index, platform(wanted))
    assert caught.value.hint == f"available: {', '.join(present)}"


def test_without_a_request_the_platform_of_this_machine_is_chosen(blobs: BlobStore) -> None:
    other = ARM64 if host_platform().architecture == "amd64" else AMD64
    mine = tiny_image(blobs, {"f": b"mine"}, platform=host_platform())
    index = tiny_index(blobs, tiny_image(blobs, platform=other), mine)
    assert read_image(blobs, index).id == mine.id


def test_attestations_in_an_index_are_passed_over(blobs: BlobStore) -> None:
    image = tiny_image(blobs, {"f": b"x"})
    attestation = replace(image.descriptor, platform=Platform(os="unknown", architecture="unknown"))
    index = blobs.put(Index(manifests=(attestation, image.descriptor)).to_json(), media.OCI_INDEX)
    assert read_image(blobs, index, AMD64).id == image.id


def test_the_only_entry_of_an_index_needs_no_platform(blobs: BlobStore) -> None:
    image = tiny_image(blobs)
    index = blobs.put(Index(manifests=(replace(image.descriptor, platform=None),)).to_json(), media.OCI_INDEX)
    assert read_image(blobs, index, AMD64).id == image.id


def test_an_image_that_is_not_for_the_platform_of_its_index_is_refused(blobs: BlobStore) -> None:
    spoofed = replace(tiny_image(blobs, platform=ARM64).descriptor, platform=AMD64)
    index = blobs.put(Index(manifests=(spoofed,)).to_json(), media.OCI_INDEX)
    with pytest.raises(InvalidImage, match="is for linux/arm64, not for linux/amd64"):
        read_image(blobs, index, AMD64)


def test_an_image_that_is_not_for_the_wanted_platform_is_refused(blobs: BlobStore) -> None:
    image = replace(tiny_image(blobs, {"f": b"x"}, platform=ARM64).descriptor, platform=None)
    assert read_image(blobs, image).config.architecture == "arm64"
    with pytest.raises(OtherPlatform, match="is for linux/arm64, not for linux/amd64") as caught:
        read_image(blobs, image, AMD64)
    assert caught.value.present == ("linux/arm64",)


def test_an_image_without_a_platform_or_without_layers_is_for_every_platform(blobs: BlobStore) -> None:
    for config in (ImageConfig(os="linux", architecture="arm64"), ImageConfig(os="", architecture="")):
        image = replace(write_image(blobs, config, ()).descriptor, platform=None)
        assert read_image(blobs, image, AMD64).config == config
    layered = tiny_image(blobs, {"f": b"x"})
    config = replace(layered.config, os="", architecture="")
    image = replace(write_image(blobs, config, layered.manifest.layers).descriptor, platform=None)
    assert read_image(blobs, image, ARM64).config == config


def test_indexes_in_one_another_have_a_limit(blobs: BlobStore) -> None:
    image = tiny_image(blobs)
    nested = [image.descriptor]
    for _ in range(5):
        index = Index(manifests=(replace(nested[-1], platform=AMD64),))
        nested.append(blobs.put(index.to_json(), media.OCI_INDEX))
    assert read_image(blobs, nested[3], AMD64).id == image.id
    assert reachable(blobs, nested[3])[-1].digest == image.id
    for descriptor in nested[4:]:
        with pytest.raises(InvalidImage, match="more than 3 indexes in one another"):
            read_image(blobs, descriptor, AMD64)
        with pytest.raises(InvalidImage, match="more than 3 indexes in one another"):
            reachable(blobs, descriptor)


def test_a_document_must_be_what_its_descriptor_calls_it(blobs: BlobStore) -> None:
    image = tiny_image(blobs)
    for media_type in (media.OCI_INDEX, media.DOCKER_MANIFEST, media.OCI_CONFIG):
        with pytest.raises(InvalidImage):
            read_image(blobs, replace(image.descriptor, media_type=media_type))


def test_an_artifact_is_no_image(blobs: BlobStore) -> None:
    config = blobs.put(b"{}", "application/vnd.oci.empty.v1+json")
    artifact = blobs.put(Manifest(config=config, layers=()).to_json(), media.OCI_MANIFEST)
    with pytest.raises(InvalidImage, match="is not an image"):
        read_image(blobs, artifact)


def test_manifest_and_config_must_have_as_many_layers(blobs: BlobStore) -> None:
    image = tiny_image(blobs, {"a": b"1"})
    fewer = blobs.put(replace(image.manifest, layers=()).to_json(), media.OCI_MANIFEST)
    with pytest.raises(InvalidImage, match="the manifest has 0 layers, the config 1"):
        read_image(blobs, fewer)


def test_a_missing_document_is_an_error(blobs: BlobStore) -> None:
    image = tiny_image(blobs)
    blobs.remove(image.id)
    with pytest.raises(BlobNotFound, match=str(image.id)):
        read_image(blobs, image.descriptor)


def test_what_belongs_to_an_image_is_listed_once_and_documents_first(blobs: BlobStore) -> None:
    one, two = tiny_image(blobs, {"a": b"1"}), tiny_image(blobs, {"a": b"1"}, {"b": b"2"}, platform=ARM64)
    index = tiny_index(blobs, one, two)
    found = [item.digest for item in reachable(blobs, index)]
    shared, own = one.manifest.layers[0].digest, two.manifest.layers[1].digest
    assert sorted(found) == sorted(
        [index.digest, one.descriptor.digest, two.descriptor.digest, one.id, two.id, shared, own]
    )
    assert found[0] == index.digest
    for image in (one, two):
        assert found.index(image.descriptor.digest) < found.index(image.id)


def test_listing_what_belongs_to_an_image_does_not_read_layers(blobs: BlobStore) -> None:
    image = tiny_image(blobs, {"a": b"1"})
    blobs.remove(image.manifest.layers[0].digest)
    assert [item.digest for item in reachable(blobs, image.descriptor)][2:] == [image.manifest.layers[0].digest]


def test_a_descriptor_without_a_blob_is_just_itself(blobs: BlobStore) -> None:
    layer = Descriptor(media_type=media.OCI_LAYER, digest=Digest.of(b""), size=0)
    assert reachable(blobs, layer) == (layer,)
