import pytest

from pybuild.builder.errors import BuildError
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.image import host_platform
from pybuild.builder.oci.layout import Layout
from pybuild.builder.outputs.layout import write_layout
from pybuild.builder.sources.oci_layout import SCHEME, fetch, resolve
from tests.helpers.images import tiny_image

NAME = "docker.io/library/x"


@pytest.fixture
def layout(tmp_path):
    """A layout of the host with one image under two tags."""
    directory = tmp_path / "layout"
    image = tiny_image(BlobStore(directory), {"f": b"1"})
    for tag in ("latest", "v1"):
        Layout(directory).tag(tag, image.descriptor)
    return directory, image


@pytest.mark.parametrize("suffix", ["", ":v1", ":latest", "@digest", ":v1@digest"])
def test_an_image_is_found_by_tag_or_digest(store, layout, suffix):
    directory, image = layout
    reference = f"{SCHEME}{directory}{suffix.replace('digest', str(image.descriptor.digest))}"
    found = resolve(reference, host_platform(), store)
    assert found.descriptor.digest == image.descriptor.digest
    assert store.blobs.has(image.descriptor)
    assert store.blobs.has(image.manifest.config)
    assert not any(store.blobs.has(layer) for layer in image.manifest.layers)
    fetch(reference, image.manifest.layers, store)
    assert all(store.blobs.has(layer) for layer in image.manifest.layers)


def test_the_only_image_needs_no_tag(store, tmp_path):
    image = tiny_image(BlobStore(tmp_path / "one"), {"f": b"1"})
    Layout(tmp_path / "one").tag("docker.io/library/x:latest", image.descriptor)
    assert resolve(f"{SCHEME}{tmp_path / 'one'}", host_platform(), store).id == image.id


def test_what_was_written_out_is_found_by_its_tag(store, tmp_path):
    image = tiny_image(BlobStore(tmp_path / "store"), {"f": b"1"})
    write_layout(BlobStore(tmp_path / "store"), image.descriptor, (f"{NAME}:1", f"{NAME}:2"), tmp_path / "out")
    assert resolve(f"{SCHEME}{tmp_path / 'out'}:1", host_platform(), store).id == image.id


def test_a_tag_of_several_images_is_not_clear(store, tmp_path):
    blobs = BlobStore(tmp_path / "store")
    images = [tiny_image(blobs, {"f": content}) for content in (b"1", b"2")]
    for image, name in zip(images, ("docker.io/library/a:1", "docker.io/library/b:1"), strict=True):
        write_layout(blobs, image.descriptor, (name,), tmp_path / "out")
    with pytest.raises(BuildError, match="has 2 images '1'") as caught:
        resolve(f"{SCHEME}{tmp_path / 'out'}:1", host_platform(), store)
    named = caught.value.hint.partition(": ")[2]
    assert resolve(named, host_platform(), store).id == images[0].id


def test_a_tag_that_is_not_there_is_told_with_those_that_are(store, layout):
    with pytest.raises(BuildError, match="has no image 'v2'") as caught:
        resolve(f"{SCHEME}{layout[0]}:v2", host_platform(), store)
    assert caught.value.hint == "it has latest, v1"


@pytest.mark.parametrize("suffix", ["", ":1", "@sha256:" + "0" * 64])
def test_a_layout_that_is_not_there_is_told_as_that(store, tmp_path, suffix):
    with pytest.raises(BuildError, match=f"^{tmp_path}/nope: no such directory$"):
        resolve(f"{SCHEME}{tmp_path}/nope{suffix}", host_platform(), store)


def test_a_directory_that_is_no_layout_is_told_as_that(store, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(BuildError, match="is not an OCI layout: it has no index"):
        resolve(f"{SCHEME}{tmp_path}/empty:1", host_platform(), store)


@pytest.mark.parametrize("suffix", ["/nowhere", "@sha256:1", "@sha256:" + "0" * 64])
def test_what_is_not_there_is_an_error(store, layout, suffix):
    with pytest.raises(BuildError):
        resolve(f"{SCHEME}{layout[0]}{suffix}", host_platform(), store)


def test_a_spoiled_blob_is_not_taken(store, layout):
    directory, image = layout
    layer = image.manifest.layers[0]
    path = BlobStore(directory).path(layer.digest)
    path.write_bytes(path.read_bytes()[::-1])
    with pytest.raises(BuildError, match="failed to load oci-layout://"):
        fetch(f"{SCHEME}{directory}", image.manifest.layers, store)
    assert not store.blobs.exists(layer.digest)


def test_a_link_in_the_place_of_a_blob_is_not_followed(store, layout, tmp_path):
    directory, image = layout
    layer = image.manifest.layers[0]
    path = BlobStore(directory).path(layer.digest)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BuildError):
        fetch(f"{SCHEME}{directory}", image.manifest.layers, store)
