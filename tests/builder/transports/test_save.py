from collections.abc import Iterator
from pathlib import Path

import pytest

from pybuild.builder.oci.errors import ImageNotFound
from pybuild.builder.store.store import Store, open_store
from pybuild.builder.transports.save import chosen
from tests.helpers.images import AMD64, ARM64, tiny_image, tiny_index


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "store") as opened:
        yield opened


def test_an_image_is_chosen_once_with_all_names_by_which_it_was_asked_for(store: Store) -> None:
    image = tiny_image(store.blobs, {"a": b"1"})
    for name in ("app:1", "app:2", "other:1"):
        store.layout.tag(f"docker.io/library/{name}", image.descriptor)
    names = tuple(f"docker.io/library/app:{tag}" for tag in (1, 2))
    assert chosen(store, ["app", str(image.id), "app:1"], None, pytest.fail) == [(names, image.descriptor)]
    with pytest.raises(ImageNotFound, match="missing"):
        chosen(store, ["app:1", "missing"], None, pytest.fail)


def test_of_an_index_that_is_not_whole_the_image_that_is_there_is_chosen_and_reported(store: Store) -> None:
    here = tiny_image(store.blobs, {"a": b"1"}, platform=AMD64)
    gone = tiny_image(store.blobs, {"b": b"2"}, platform=ARM64)
    index = tiny_index(store.blobs, here, gone)
    store.layout.tag("docker.io/library/app:1", index)
    assert chosen(store, ["app:1"], None, pytest.fail)[0][1].digest == index.digest
    store.blobs.retire(gone.descriptor.digest)
    told: list[str] = []
    ((_, descriptor),) = chosen(store, ["app:1"], None, told.append)
    assert descriptor.digest == here.descriptor.digest
    assert "does not have the images for all platforms" in told[0]
