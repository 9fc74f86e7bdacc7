import gzip
from dataclasses import replace

import pytest

from pybuild.builder.oci import media
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.image import Image, write_image
from pybuild.builder.oci.layout import Layout
from pybuild.builder.oci.model import Descriptor, History, Index, Manifest
from pybuild.builder.oci.validate import validate, validate_store
from tests.helpers.images import ARM64, tar_of, tiny_config, tiny_image, tiny_index


@pytest.fixture
def image(blobs: BlobStore) -> Image:
    return tiny_image(blobs, {"a": b"1"}, {"b": b"2" * 5000})


def rewritten(blobs: BlobStore, manifest: Manifest) -> Descriptor:
    return blobs.put(manifest.to_json(), manifest.media_type)


def test_a_good_image_and_a_good_index_have_no_problems(blobs: BlobStore, image: Image) -> None:
    assert validate(blobs, image.descriptor) == []
    assert validate(blobs, tiny_index(blobs, image, tiny_image(blobs, platform=ARM64))) == []
    assert validate_store(blobs.root) == []


@pytest.mark.parametrize("which", ["manifest", "config", "layer"])
@pytest.mark.parametrize("damage", ["missing", "shorter", "flipped"])
def test_any_damaged_blob_is_found(blobs: BlobStore, image: Image, which: str, damage: str) -> None:
    digests = {"manifest": image.descriptor.digest, "config": image.id, "layer": image.manifest.layers[1].digest}
    path = blobs.path(digests[which])
    content = path.read_bytes()
    path.unlink()
    if damage == "shorter":
        path.write_bytes(content[:-1])
    if damage == "flipped":
        path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    problems = validate(blobs, image.descriptor)
    assert any(str(digests[which]) in problem for problem in problems), problems


def test_layers_in_the_wrong_order_are_found(blobs: BlobStore, image: Image) -> None:
    swapped = rewritten(blobs, replace(image.manifest, layers=image.manifest.layers[::-1]))
    assert len(validate(blobs, swapped)) == 2


def test_a_layer_that_is_not_compressed_as_it_says_is_found(blobs: BlobStore, image: Image) -> None:
    layer = replace(image.manifest.layers[0], media_type=media.OCI_LAYER_ZSTD)
    wrong = rewritten(blobs, replace(image.manifest, layers=(layer, image.manifest.layers[1])))
    assert validate(blobs, wrong) == [f"{layer.digest}: is gzip, but its media type says zstd"]


def test_a_wrong_number_of_layers_is_found(blobs: BlobStore, image: Image) -> None:
    wrong = rewritten(blobs, replace(image.manifest, layers=image.manifest.layers[:1]))
    assert validate(blobs, wrong) == [f"{wrong.digest}: 1 layers, but 2 diff IDs"]


def test_a_history_that_tells_of_other_layers_is_found(blobs: BlobStore) -> None:
    tar = tar_of({"a": b"1"})
    config = replace(tiny_config([tar]), history=(History(created_by="ENV", empty_layer=True),))
    layer = blobs.put(gzip.compress(tar, mtime=0), media.OCI_LAYER_GZIP)
    wrong = write_image(blobs, config, (layer,)).descriptor
    assert validate(blobs, wrong) == [f"{wrong.digest}: 1 layers, but 0 in the history"]


def test_an_index_that_lies_about_a_platform_is_found(blobs: BlobStore, image: Image) -> None:
    index = blobs.put(Index(manifests=(replace(image.descriptor, platform=ARM64),)).to_json(), media.OCI_INDEX)
    assert validate(blobs, index) == [
        f"{image.descriptor.digest}: said to be for linux/arm64, but made for linux/amd64"
    ]


def test_a_wrong_size_in_a_descriptor_is_found(blobs: BlobStore, image: Image) -> None:
    assert len(validate(blobs, replace(image.descriptor, size=image.descriptor.size + 1))) == 1


def test_an_attestation_is_checked_for_its_blobs_only(blobs: BlobStore) -> None:
    config = blobs.put(tiny_config([]).to_json(), media.OCI_CONFIG)
    statement = blobs.put(b'{"_type":"x"}', "application/vnd.in-toto+json")
    good = rewritten(blobs, Manifest(config=config, layers=(statement,)))
    assert validate(blobs, good) == []
    blobs.remove(statement.digest)
    assert len(validate(blobs, good)) == 1


def test_a_store_shows_damage_in_blobs_that_belong_to_no_image(blobs: BlobStore, image: Image) -> None:
    Layout(blobs.root).tag("example.com/app:1", image.descriptor)
    orphan = blobs.put(b"orphan", "text/plain")
    assert validate_store(blobs.root) == []
    blobs.path(orphan.digest).write_bytes(b"orphaN")
    assert validate_store(blobs.root) == [f"content of {orphan.digest} has the digest {Digest.of(b'orphaN')}"]


def test_a_store_shows_a_name_that_leads_nowhere(blobs: BlobStore, image: Image) -> None:
    Layout(blobs.root).tag("example.com/app:1", image.descriptor)
    blobs.remove(image.descriptor.digest)
    assert validate_store(blobs.root) == [f"blob {image.descriptor.digest} is not in the store"]


def test_a_store_with_a_broken_table_is_one_problem(blobs: BlobStore) -> None:
    blobs.root.mkdir(exist_ok=True)
    (blobs.root / "index.json").write_bytes(b"{")
    assert len(validate_store(blobs.root)) == 1
